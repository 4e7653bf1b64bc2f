"""Everything that goes wrong in a mine on purpose.

    OpenMinedError
    └── MineError
        ├── FolderError            the mine's folder cannot be used
        │   ├── NotAMine           no mine.toml there
        │   ├── MineExists         `init` would overwrite a mine
        │   ├── MineLocked         another mine runs on the folder
        │   ├── WrongPassphrase    the passphrase opens neither identity nor wallet
        │   ├── LedgerDamaged      the ledger cannot be read
        │   └── DiskFull           nothing more can be written
        ├── SettingsError          mine.toml, a permission or an option is not valid
        ├── DatasetError
        │   ├── UnknownDataset     no dataset of that name
        │   ├── DatasetDamaged     its bytes are not what was imported
        │   └── ImportRefused      rows or a file that do not fit the schema
        ├── CampaignUnusable       what a campaign published cannot be used
        │   ├── TermsRefused       its manifest and its frozen terms disagree
        │   ├── Misbound           a manifest bound to another chain, campaign, version or epoch
        │   ├── WeakParameters     encryption below 128 bits
        │   └── BadDownload        bytes missing, cut short or of the wrong size
        ├── TrainingFailed         the training process died or refused
        ├── ClusterAway            the cluster that mine.toml names cannot be used for now
        └── ApiError               the local API could not be started

Errors of other packages (no funds, store away, a revert) keep their own names.
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError


class MineError(OpenMinedError):
    """Something failed in a mine that we foresaw."""


class FolderError(MineError):
    """The mine's folder cannot be used."""


class NotAMine(FolderError):
    """The folder holds no mine."""


class MineExists(FolderError):
    """The folder holds a mine already."""


class MineLocked(FolderError):
    """Another mine runs on the folder."""


class WrongPassphrase(FolderError):
    """The passphrase does not open the mine."""


class LedgerDamaged(FolderError):
    """The ledger cannot be read, or is of a version this software does not know."""


class DiskFull(FolderError):
    """The disk of the folder is full."""


class SettingsError(MineError):
    """A setting, a permission or an option is not valid."""


class DatasetError(MineError):
    """A dataset cannot be used."""


class UnknownDataset(DatasetError):
    """There is no dataset of that name."""


class DatasetDamaged(DatasetError):
    """The bytes of a dataset are not those that were imported."""


class ImportRefused(DatasetError):
    """Rows or a file do not fit the schema they are imported under."""


class CampaignUnusable(MineError):
    """What a campaign or its Capsule published cannot be used."""


class TermsRefused(CampaignUnusable):
    """The campaign's manifest and its frozen terms disagree, or its terms cannot be met."""


class Misbound(CampaignUnusable):
    """A manifest is bound to another chain, contract, campaign, version or key epoch."""


class WeakParameters(CampaignUnusable):
    """The encryption offered is below 128 bits of security."""


class BadDownload(CampaignUnusable):
    """Keys or ciphertexts are missing, cut short, too large, or no keys and ciphertexts at all."""


class TrainingFailed(MineError):
    """The training process died, ran out of its limits, or could not use the rows."""


class ClusterAway(MineError):
    """The cluster that is to sum the rows is not there, or its extra is not installed."""


class ApiError(MineError):
    """The local API could not be started."""
