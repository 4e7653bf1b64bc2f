"""capsule.toml: which chain and store, what is accepted, and what may be used up.

Any setting of a section can be overridden for one process by an environment variable such as
`OPENMINED_CAPSULE_LOOP__POLL_INTERVAL_S`. No secret is a setting.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from openmined.capsule._errors import SettingsError
from openmined.capsule._files import write_private
from openmined.protocol import Address, Count, Frozen, Wei

SETTINGS_FILE = "capsule.toml"
FORMAT = "openmined/capsule@1"

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
    confirmations: int = Field(default=0, ge=0, le=1000)
    """Blocks that must lie upon an event before it is acted on. 0 on a devnet, 2 or more else."""


class LoopSettings(Frozen):
    """How the loop polls and how long it keeps trying."""

    poll_interval_s: float = Field(default=1.0, ge=0.02, le=3600)
    retry_s: float = Field(default=15.0, ge=0.02, le=3600)
    """Longest wait between attempts while chain or store do not answer."""
    unavailable_after_s: float = Field(default=120.0, ge=0, le=86_400)
    """How long an envelope may be missing from the store before its gradient is rejected."""
    max_fee_gwei: float = Field(default=200.0, gt=0, le=1e6)
    """Most to pay for a unit of gas."""


class AcceptSettings(Frozen):
    """Which campaigns are opened. What is outside is rejected, with the reason on chain."""

    minimum_fee_wei: Wei = 0
    """Smallest fee to work for; in the unit of the campaign's token."""
    minimum_time_s: int = Field(default=0, ge=0, le=365 * 86_400)
    """Smallest time left to the deadline when a campaign is opened."""
    max_rows: int = Field(default=20_000, ge=1, le=10_000_000)
    """Rows of a validation set."""
    max_validation_mb: int = Field(default=64, ge=1, le=4096)
    """Size of the sealed validation set."""
    max_features: int = Field(default=8192, ge=1, le=8192)
    """Inputs of the model, the constant one included."""
    max_outputs: int = Field(default=1024, ge=1, le=4096)
    private_batches: int = Field(default=16, ge=1, le=10_000)
    """Batches among which the privacy of a campaign with client-level privacy is divided."""
    max_table_mb: int = Field(default=512, ge=1, le=65536)
    """Of the validation set in memory: features (rows x features x 8 bytes), and outputs of a whole
    batch (batch x rows x outputs x 8 bytes)."""


class LimitSettings(Frozen):
    """What opening foreign bytes may take of the machine."""

    memory_mb: int = Field(default=900, ge=64, le=1 << 20)
    seconds: int = Field(default=10, ge=1, le=3600)
    validation_seconds: int = Field(default=120, ge=1, le=3600)
    envelope_mb: int = Field(default=64, ge=1, le=1024)
    """Largest sealed gradient."""
    processes: int = Field(default=0, ge=0, le=1024)
    """Child processes at a time; 0: one a core."""
    executor: Annotated[str, Field(pattern=r"^(here|processes:[1-9]\d*|ray(:\S+)?)$")] | None = None
    """Where it is computed what a network's gradients explain: `here`, `processes:4`, `ray` for a
    Ray cluster started on this machine, `ray:ADDRESS` for one that runs; not given: as many
    processes as above. A cluster gets no key, but updates and the validation set."""


class ReleaseSettings(Frozen):
    """What of decrypted values may leave under one key epoch (DESIGN 6.6)."""

    max_decryptions: int = Field(default=1000, ge=1, le=1_000_000)
    """Updates decrypted before the campaign's keys are rotated."""
    model_releases: int = Field(default=1, ge=1, le=100)
    """Final models."""


class ApiSettings(Frozen):
    """The read-only HTTP interface; it runs in a process of its own that holds no secret."""

    enabled: bool = True
    host: Annotated[str, Field(max_length=255)] = "127.0.0.1"
    port: int = Field(default=7336, ge=0, le=65535)


class CapsuleSettings(BaseSettings):
    """Everything in capsule.toml."""

    model_config = SettingsConfigDict(
        env_prefix="OPENMINED_CAPSULE_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    format: Literal["openmined/capsule@1"] = "openmined/capsule@1"
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Capsule"
    mail: Annotated[str, Field(pattern=r"^[\w.+\-]+@[\w.\-]+$", max_length=254)] = (
        "capsule@localhost"
    )
    """The address in the OpenPGP user id, by which the Web Key Directory serves the certificate."""
    network: NetworkSettings
    loop: LoopSettings = LoopSettings()
    accept: AcceptSettings = AcceptSettings()
    limits: LimitSettings = LimitSettings()
    release: ReleaseSettings = ReleaseSettings()
    api: ApiSettings = ApiSettings()

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

    @property
    def user_id(self) -> str:
        """The OpenPGP user id."""
        return f"{self.name} <{self.mail}>"


def load_settings(folder: Path) -> CapsuleSettings:
    """Read capsule.toml.

    Raises:
        SettingsError: if there is none, it is no TOML, or a value in it is not valid.
    """
    place = folder / SETTINGS_FILE
    try:
        value = tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"{folder} holds no Capsule: make one with `openmined capsule init`"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{place} is no TOML: {error}") from error
    return parse_settings(value, place)


def parse_settings(value: dict[str, Any], place: Path) -> CapsuleSettings:
    """Check settings that were read from `place`."""
    if value.get("format", FORMAT) != FORMAT:
        raise SettingsError(
            f"{place} is of format {str(value['format'])[:80]!r}; this software reads {FORMAT!r}"
        )
    try:
        return CapsuleSettings(**value)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in problem["loc"]) or "settings"
        found = str(problem.get("input"))[:80]
        raise SettingsError(f"{place}: {path}: {problem['msg']} (found {found!r})") from error


def save_settings(folder: Path, value: dict[str, Any]) -> CapsuleSettings:
    """Check and write capsule.toml; `value` names what is not left at its default."""
    place = folder / SETTINGS_FILE
    settings = parse_settings(value, place)
    lines = ["# Settings of a Capsule: see docs/capsule.md. No secret belongs here."]
    lines += [f"{key} = {_toml(item)}" for key, item in value.items() if not isinstance(item, dict)]
    for section, items in value.items():
        if isinstance(items, dict):
            lines += ["", f"[{section}]"]
            lines += [f"{key} = {_toml(item)}" for key, item in items.items() if item is not None]
    write_private(place, ("\n".join(lines) + "\n").encode())
    return settings


def _toml(value: object) -> str:
    # JSON's texts, numbers, booleans and lists of them are TOML's too, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
