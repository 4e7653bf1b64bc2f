"""Capsule: the third party that holds the keys, scores gradients and delivers the model."""

from openmined.capsule._cli import app
from openmined.capsule._context import Context
from openmined.capsule._envelopes import (
    Expected,
    OpenedGradient,
    Opener,
    RefusedGradient,
    open_envelopes,
)
from openmined.capsule._errors import (
    BackupError,
    CampaignRefused,
    CapsuleError,
    FolderBusy,
    GradientRefused,
    PgpError,
    SealError,
    SettingsError,
    StateError,
    WrongPassphrase,
)
from openmined.capsule._folder import create_folder, unsealed
from openmined.capsule._keyring import Unlock, generate_key_file
from openmined.capsule._log import Log, json_lines
from openmined.capsule._loop import Capsule
from openmined.capsule._pgp import Identity, open_and_verify, parse_certificate
from openmined.capsule._settings import CapsuleSettings, load_settings
from openmined.capsule._state import Pending
from openmined.capsule._steps import STEPS, Step

__all__ = [
    "STEPS",
    "BackupError",
    "CampaignRefused",
    "Capsule",
    "CapsuleError",
    "CapsuleSettings",
    "Context",
    "Expected",
    "FolderBusy",
    "GradientRefused",
    "Identity",
    "Log",
    "OpenedGradient",
    "Opener",
    "Pending",
    "PgpError",
    "RefusedGradient",
    "SealError",
    "SettingsError",
    "StateError",
    "Step",
    "Unlock",
    "WrongPassphrase",
    "app",
    "create_folder",
    "generate_key_file",
    "json_lines",
    "load_settings",
    "open_and_verify",
    "open_envelopes",
    "parse_certificate",
    "unsealed",
]
