"""Errors of Capsule.

CapsuleError
├── SettingsError         capsule.toml or the folder around it cannot be used
├── SealError             the folder's secrets stay closed
│   └── WrongPassphrase   not the passphrase (or key file) it was sealed with
├── StateError            the state file is damaged, or of another version
│   └── NotWritten        a file of the folder cannot be written now
├── ReplayFailed          what another Capsule of this identity reported cannot be followed
├── FolderBusy            another Capsule works in this folder
├── PgpError              an OpenPGP certificate, message or signature is not usable
├── CampaignRefused       a campaign Capsule will not open; the text goes on chain
│   └── NotValidNow       its data scientist's certificate, by this machine's clock
├── GradientRefused       a gradient Capsule will not use, with its reason code
├── ReleaseRefused        the release ledger's budget is used up
└── BackupError           a backup cannot be written or read
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError, Reason

MAX_REASON_CHARACTERS = 96
"""What fits on chain beside a rejection."""


class CapsuleError(OpenMinedError):
    """Something Capsule foresaw went wrong."""


class SettingsError(CapsuleError):
    """The settings, or the folder they stand in, cannot be used."""


class SealError(CapsuleError):
    """The secrets of the folder cannot be opened."""


class WrongPassphrase(SealError):
    """The passphrase or key file is not the one the folder was sealed with."""


class StateError(CapsuleError):
    """The state file is damaged or was written by another version."""


class NotWritten(StateError):
    """A file of the folder cannot be written now: the disk is full, or its mode forbids it."""


class ReplayFailed(CapsuleError):
    """Work that another Capsule of the same identity reported cannot be followed."""


class FolderBusy(CapsuleError):
    """Another Capsule process works in the same folder."""


class PgpError(CapsuleError):
    """An OpenPGP certificate, message or signature cannot be used."""


class CampaignRefused(CapsuleError):
    """A campaign that Capsule rejects, with a full refund; the text goes on chain."""

    @property
    def reason(self) -> str:
        """The text, shortened to what the contract takes."""
        text = " ".join(str(self).split())
        data = text.encode("ascii", "replace").decode("ascii")
        if len(data) <= MAX_REASON_CHARACTERS:
            return data
        return data[: MAX_REASON_CHARACTERS - 3] + "..."


class NotValidNow(CampaignRefused):
    """The data scientist's certificate cannot be used by the time that this machine has."""


class GradientRefused(CapsuleError):
    """A gradient that is not used; `reason` says whether its bond is lost."""

    def __init__(self, reason: Reason, note: str) -> None:
        super().__init__(note)
        self.reason = reason

    @property
    def note(self) -> str:
        """The text, shortened to what a receipt takes."""
        return str(self)[:400]


class BackupError(CapsuleError):
    """A backup cannot be written or read."""
