"""capsule.toml: what is written is read back, and mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.capsule.conftest import NETWORK, Sealed

import openmined.capsule
from openmined.capsule import SettingsError, load_settings
from openmined.capsule._settings import save_settings


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    values = {"name": 'A "B"\\ ü', "network": NETWORK, "accept": {"minimum_fee_wei": 5}}
    saved = save_settings(tmp_path, values)
    assert load_settings(tmp_path) == saved
    assert saved.name == 'A "B"\\ ü'
    assert saved.accept.minimum_fee_wei == 5
    assert saved.user_id == 'A "B"\\ ü <capsule@localhost>'


def test_the_environment_overrides(sealed: Sealed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENMINED_CAPSULE_LOOP__POLL_INTERVAL_S", "7.5")
    assert load_settings(sealed.folder).loop.poll_interval_s == 7.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = [", "is no TOML"),
        ('format = "openmined/capsule@9"', "this software reads"),
        ("unknown = 1", "unknown"),
        ("[network]\nchain_id = 1", "network"),
        ('mail = "nobody"', "mail"),
    ],
)
def test_mistakes_are_named(sealed: Sealed, text: str, said: str) -> None:
    path = sealed.folder / "capsule.toml"
    path.write_text(text if "network" in text else f"{text}\n{path.read_text()}".lstrip())
    with pytest.raises(SettingsError, match=said):
        load_settings(sealed.folder)


def test_no_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="openmined capsule init"):
        load_settings(tmp_path)


def test_the_public_names_are_sorted_and_there() -> None:
    names = openmined.capsule.__all__
    assert names == sorted(names, key=_as_ruff_sorts)
    assert all(hasattr(openmined.capsule, name) for name in names)


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    # Constants, then classes, then the rest, as ruff's RUF022 keeps them.
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)
