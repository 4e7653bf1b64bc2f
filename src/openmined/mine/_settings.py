"""mine.toml: where the network is, how the loop behaves, and what the owner permits.

Any setting of a section can be overridden for one process by an environment variable such as
`OPENMINED_MINE_LOOP__POLL_INTERVAL_S`. No secret is a setting.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from openmined.mine._errors import NotAMine, SettingsError
from openmined.mine._permissions import DatasetPermission
from openmined.mine._toml import dump_toml
from openmined.protocol import Address, Count, Frozen

SETTINGS_FILE = "mine.toml"
FORMAT = "openmined/mine@1"

DatasetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9\-]{0,63}$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s@]+$", max_length=2048)]


class NetworkSettings(Frozen):
    """Which chain, contract and store."""

    name: Annotated[str, Field(max_length=64)] = "devnet"
    chain_id: Count
    rpc_url: Url
    sonar: Address
    store_url: Url
    gateway_url: Url | None = None
    from_block: Count = 0
    """The block of the contract's deployment: nothing before it is read."""


class LoopSettings(Frozen):
    """How the mine polls and how long it keeps trying."""

    poll_interval_s: float = Field(default=5.0, ge=0.02, le=3600)
    patience: int = Field(default=8, ge=1, le=1000)
    """Gradients in a row that earn nothing before the mine leaves a campaign alone."""
    retry_s: float = Field(default=30.0, ge=0.02, le=86_400)
    """Wait before trying again what failed for a passing reason (store away, no funds)."""
    max_fee_gwei: float = Field(default=200.0, gt=0, le=1e6)
    """Most to pay for a unit of gas."""


class LimitSettings(Frozen):
    """What training may take of the machine."""

    memory_mb: int = Field(default=2048, ge=128, le=1 << 20)
    seconds: int = Field(default=900, ge=1, le=86_400)
    download_mb: int = Field(default=512, ge=1, le=1 << 14)
    """Largest keys and model of one campaign."""


class TrainingSettings(Frozen):
    """Where training is done. Only this file says so: it names who sees rows."""

    executor: Annotated[str, Field(pattern=r"^(here|ray(:[^\s:]\S{0,254})?)$")] = "here"
    """Where statistics are summed: `here`, in the training process; `ray`, on a Ray cluster started
    on this machine; `ray:ADDRESS`, on the owner's own cluster, which sees the rows in the clear.
    """


class ApiSettings(Frozen):
    """The local API and UI."""

    enabled: bool = False
    host: Annotated[str, Field(max_length=255)] = "127.0.0.1"
    port: int = Field(default=7337, ge=0, le=65535)
    allowed_hosts: tuple[Annotated[str, Field(max_length=255)], ...] = ()
    """Host names under which the owner reaches it, besides localhost."""
    session_s: int = Field(default=3600, ge=60, le=30 * 86_400)


class ReportingSettings(Frozen):
    """What the owner allows to be told to a statistics service: counts, never rows. Off."""

    enabled: bool = False
    url: Url | None = None
    interval_s: float = Field(default=3600.0, ge=1, le=30 * 86_400)


class MineSettings(BaseSettings):
    """Everything in mine.toml."""

    model_config = SettingsConfigDict(
        env_prefix="OPENMINED_MINE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    format: Literal["openmined/mine@1"] = "openmined/mine@1"
    name: Annotated[str, Field(min_length=1, max_length=64)] = "mine"
    network: NetworkSettings
    loop: LoopSettings = LoopSettings()
    limits: LimitSettings = LimitSettings()
    training: TrainingSettings = TrainingSettings()
    api: ApiSettings = ApiSettings()
    reporting: ReportingSettings = ReportingSettings()
    permissions: dict[DatasetName, DatasetPermission] = Field(default_factory=dict)

    @field_validator("permissions")
    @classmethod
    def _few(cls, value: dict[str, DatasetPermission]) -> dict[str, DatasetPermission]:
        if len(value) > 4096:
            raise ValueError("more than 4096 datasets")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment override the file, which arrives as initial values."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)

    def permission(self, dataset: str) -> DatasetPermission:
        """Return what the owner permits for a dataset: nothing, unless it is written."""
        return self.permissions.get(dataset, DatasetPermission())


def load_settings(folder: Path) -> MineSettings:
    """Read mine.toml.

    Raises:
        NotAMine: if there is none.
        SettingsError: if it is no TOML, or a value in it (or in the environment) is not valid.
    """
    return parse_settings(_read(folder), folder / SETTINGS_FILE)


def parse_settings(value: dict[str, Any], place: Path) -> MineSettings:
    """Check settings that were read from `place`."""
    if value.get("format", FORMAT) != FORMAT:
        raise SettingsError(
            f"{place} is of format {str(value['format'])[:80]!r}; this software reads {FORMAT!r}"
        )
    try:
        return MineSettings(**value)
    except ValidationError as error:
        raise SettingsError(f"{place}: {_first(error)}") from error


def save_settings(folder: Path, value: dict[str, Any]) -> MineSettings:
    """Check and write mine.toml, whole and atomically. What the environment overrides stays out."""
    place = folder / SETTINGS_FILE
    settings = parse_settings(value, place)
    text = dump_toml(value, _COMMENTS)
    partial = place.with_suffix(".toml.partial")
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o600)
    partial.replace(place)
    return settings


def settings_dict(folder: Path) -> dict[str, Any]:
    """Return what mine.toml itself says, for editing."""
    return _read(folder)


def permission_dict(permission: DatasetPermission) -> dict[str, Any]:
    """Write a permission as the values of its table: amounts as text, no empty lists."""
    value = permission.model_dump(mode="json", exclude_none=True)
    return {key: item for key, item in value.items() if item != []}


def _read(folder: Path) -> dict[str, Any]:
    place = folder / SETTINGS_FILE
    try:
        return tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotAMine(f"{folder} holds no mine: make one with `openmined mine init`") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place} is no TOML: {error}") from error


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in problem["loc"]) or "settings"
    return f"{path}: {problem['msg']} (found {str(problem.get('input'))[:80]!r})"


_COMMENTS = {
    "": "A mine's settings. Documented in docs/mine-folder.md. No secret belongs here.",
    "permissions": "Deny by default: a dataset without a table here serves no campaign.",
}


__all__ = [
    "ApiSettings",
    "LimitSettings",
    "LoopSettings",
    "MineSettings",
    "NetworkSettings",
    "ReportingSettings",
    "TrainingSettings",
    "load_settings",
    "parse_settings",
    "permission_dict",
    "save_settings",
    "settings_dict",
]
