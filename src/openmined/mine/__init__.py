"""A mine: a data owner's own server. It decides, trains on what it never shows, and earns.

    folder, secrets = create_mine(path, settings, passphrase)
    import_source(folder, secrets.identity, ImportRequest(source=..., dataset="tweets"))
    change_permission(folder, "tweets", {"mode": "automatic", "fields": ["*"]})
    run_mine(folder, secrets)

See docs/mine.md, and docs/mine-folder.md for what lies in the folder.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from openmined.mine._cli import app
from openmined.mine._errors import (
    ApiError,
    BadDownload,
    CampaignUnusable,
    ClusterAway,
    DatasetDamaged,
    DatasetError,
    DiskFull,
    FolderError,
    ImportRefused,
    LedgerDamaged,
    MineError,
    MineExists,
    MineLocked,
    Misbound,
    NotAMine,
    SettingsError,
    TermsRefused,
    TrainingFailed,
    UnknownDataset,
    WeakParameters,
    WrongPassphrase,
)
from openmined.mine._steps import Step

if TYPE_CHECKING:
    from openmined.mine._datasets import (
        Dataset,
        Imported,
        delete_dataset,
        import_batches,
        list_datasets,
        load_dataset,
    )
    from openmined.mine._exposure import explain_exposure
    from openmined.mine._folder import FolderLock, MineFolder, Secrets, create_mine, is_running
    from openmined.mine._imports import ImportReport, ImportRequest, import_source
    from openmined.mine._ledger import Ledger
    from openmined.mine._permissions import (
        CampaignRequest,
        DatasetPermission,
        DatasetUse,
        Decision,
        decide,
    )
    from openmined.mine._permit import change_permission
    from openmined.mine._run import run_mine
    from openmined.mine._settings import MineSettings, load_settings

# Ten mines start at once on two processors: the command line loads only what it uses.
_LAZY = {
    "CampaignRequest": "_permissions",
    "Dataset": "_datasets",
    "DatasetPermission": "_permissions",
    "DatasetUse": "_permissions",
    "Decision": "_permissions",
    "FolderLock": "_folder",
    "ImportReport": "_imports",
    "ImportRequest": "_imports",
    "Imported": "_datasets",
    "Ledger": "_ledger",
    "MineFolder": "_folder",
    "MineSettings": "_settings",
    "Secrets": "_folder",
    "change_permission": "_permit",
    "create_mine": "_folder",
    "decide": "_permissions",
    "delete_dataset": "_datasets",
    "explain_exposure": "_exposure",
    "import_batches": "_datasets",
    "import_source": "_imports",
    "is_running": "_folder",
    "list_datasets": "_datasets",
    "load_dataset": "_datasets",
    "load_settings": "_settings",
    "run_mine": "_run",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"openmined.mine.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ApiError",
    "BadDownload",
    "CampaignRequest",
    "CampaignUnusable",
    "ClusterAway",
    "Dataset",
    "DatasetDamaged",
    "DatasetError",
    "DatasetPermission",
    "DatasetUse",
    "Decision",
    "DiskFull",
    "FolderError",
    "FolderLock",
    "ImportRefused",
    "ImportReport",
    "ImportRequest",
    "Imported",
    "Ledger",
    "LedgerDamaged",
    "MineError",
    "MineExists",
    "MineFolder",
    "MineLocked",
    "MineSettings",
    "Misbound",
    "NotAMine",
    "Secrets",
    "SettingsError",
    "Step",
    "TermsRefused",
    "TrainingFailed",
    "UnknownDataset",
    "WeakParameters",
    "WrongPassphrase",
    "app",
    "change_permission",
    "create_mine",
    "decide",
    "delete_dataset",
    "explain_exposure",
    "import_batches",
    "import_source",
    "is_running",
    "list_datasets",
    "load_dataset",
    "load_settings",
    "run_mine",
]
