"""What every step of the work needs, and how sealed arrays are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from openmined.capsule._errors import StateError
from openmined.capsule._files import write_private
from openmined.capsule._keyring import Keyring
from openmined.capsule._log import Log
from openmined.capsule._pgp import Identity
from openmined.capsule._settings import CapsuleSettings
from openmined.capsule._state import State
from openmined.capsule._steps import Step
from openmined.protocol import SonarRef
from openmined.sonar import SonarContract
from openmined.storage import Store
from openmined.syft import Executor

if TYPE_CHECKING:
    from openmined.capsule._envelopes import Opener

Array = NDArray[np.float64]
Arrays = Mapping[str, Array]


def _nothing(_step: Step) -> None:
    return None


@dataclass
class Context:
    """An unsealed Capsule at work. `on_step` is told of every step before its effect."""

    folder: Path
    settings: CapsuleSettings
    keyring: Keyring
    identity: Identity
    state: State
    store: Store
    contract: SonarContract
    log: Log
    executor: Executor | None = None
    on_step: Callable[[Step], None] = field(default=_nothing)
    opener: Opener | None = None
    """Opens envelopes in place of `open_envelopes`; for simulations that count what they cost."""

    @property
    def address(self) -> str:
        """This Capsule's address on chain."""
        assert self.contract.wallet is not None
        return self.contract.wallet.address

    @property
    def chain(self) -> SonarRef:
        """Which contract on which chain, as manifests name it."""
        return SonarRef(chain_id=self.contract.chain_id, sonar=self.contract.address)

    def reach(self, step: Step, campaign: int, **facts: Any) -> None:
        """Announce a step at the instant before its effect."""
        self.log.write("step", step=step.value, campaign=campaign, **facts)
        self.on_step(step)

    # ------------------------------------------------------------ sealed things

    def keep(self, campaign: int, kind: str, number: int, arrays: Arrays, **facts: Any) -> None:
        """Seal arrays with a few facts into the state file."""
        data = self.keyring.seal(pack_arrays(arrays, facts))
        self.state.put_sealed(campaign, kind, number, data)

    def recall(self, campaign: int, kind: str, number: int) -> tuple[dict[str, Array], Any] | None:
        """Return what `keep` sealed, None if there is nothing."""
        data = self.state.sealed(campaign, kind, number)
        if data is None:
            return None
        return unpack_arrays(self.keyring.open(data, f"{kind} {number} of campaign {campaign}"))

    def write_secret(self, name: str, data: bytes) -> None:
        """Seal bytes into a file of the folder."""
        write_private(self.folder / name, self.keyring.seal(data))

    def read_secret(self, name: str) -> bytes | None:
        """Return what `write_secret` sealed, None if there is no such file."""
        path = self.folder / name
        if not path.is_file():
            return None
        return self.keyring.open(path.read_bytes(), str(path))


def keys_file(campaign: int, epoch: int) -> str:
    """Return the name of the file that holds a campaign's CKKS keys of one epoch."""
    return f"campaigns/{campaign}/keys-{epoch}.age"


def pack_arrays(arrays: Arrays, facts: Mapping[str, Any]) -> bytes:
    """Serialize float64 arrays and JSON facts as safetensors."""
    from safetensors.numpy import save

    plain = {name: np.ascontiguousarray(array, dtype=np.float64) for name, array in arrays.items()}
    return bytes(save(plain, metadata={"facts": json.dumps(dict(facts))}))


def unpack_arrays(data: bytes) -> tuple[dict[str, Array], Any]:
    """Read what `pack_arrays` wrote.

    Raises:
        StateError: if it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        size = int.from_bytes(data[:8], "little")
        facts = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["facts"])
        return load(data), facts
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StateError(f"sealed arrays cannot be read ({type(error).__name__})") from None
