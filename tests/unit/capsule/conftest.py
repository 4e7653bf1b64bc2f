"""A sealed Capsule's folder that nothing is connected to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from openmined.capsule import Unlock, create_folder, generate_key_file

NETWORK: dict[str, Any] = {
    "chain_id": 31337,
    "rpc_url": "http://127.0.0.1:9",
    "sonar": "0x" + "5" * 40,
    "store_url": "http://127.0.0.1:9",
}


@dataclass
class Sealed:
    folder: Path
    key_file: Path
    address: str
    fingerprint: str

    @property
    def unlock(self) -> Unlock:
        return Unlock.from_key_file(self.key_file)


@pytest.fixture
def sealed(tmp_path: Path) -> Sealed:
    key_file = tmp_path / "key"
    generate_key_file(key_file)
    values = {"network": NETWORK, "mail": "capsule@example.org", "api": {"enabled": False}}
    address, fingerprint = create_folder(
        tmp_path / "capsule", values, Unlock.from_key_file(key_file)
    )
    return Sealed(tmp_path / "capsule", key_file, address, fingerprint)
