"""A campaign's CKKS keys: made once, sealed whole, their public part in files only meanwhile."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from openmined.capsule import SealError
from openmined.capsule._errors import NotWritten
from openmined.capsule._keyring import Keyring
from openmined.capsule._keys import made_keys, open_keys
from openmined.capsule._steps import Step
from openmined.syft import LinearRegression, SecretKeys, encrypt_model

BENCH: Any = SimpleNamespace(campaign=3, spec=LinearRegression(inputs=4))


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    steps: list[Step] = []
    return SimpleNamespace(
        folder=tmp_path,
        keyring=Keyring.generate(),
        steps=steps,
        reach=lambda step, _campaign, **_facts: steps.append(step),
    )


def test_keys_are_made_once_and_leave_one_sealed_file(ctx: Any) -> None:
    with made_keys(ctx, BENCH, 1) as made:
        public = {name: blob.read_bytes() for name, blob in made.public.blobs.items()}
    with made_keys(ctx, BENCH, 1) as again:
        assert {name: blob.read_bytes() for name, blob in again.public.blobs.items()} == public
    assert ctx.steps == [Step.MAKE_KEYS]
    (sealed,) = (path for path in ctx.folder.rglob("*") if path.is_file())
    assert sealed == ctx.folder / "campaigns" / "3" / "keys-1.age"
    assert sealed.stat().st_mode & 0o777 == 0o600
    # Whole: what a backup has of them is enough, read in one piece too.
    whole = SecretKeys.from_bytes(ctx.keyring.open(sealed.read_bytes(), "keys"))
    assert whole.key_id == made.key_id
    assert whole.public.to_blobs() == public


def test_opened_keys_encrypt_without_their_public_part(ctx: Any) -> None:
    assert open_keys(ctx, 3, 1) is None
    with made_keys(ctx, BENCH, 1) as made:
        pass
    opened = open_keys(ctx, 3, 1)
    assert opened is not None
    assert not any(Path(blob).exists() for blob in opened.public.blobs.values())
    assert encrypt_model(np.ones((4, 1)), opened).key_id == made.key_id


def test_damaged_and_foreign_keys_are_said_to_be_so(ctx: Any) -> None:
    with made_keys(ctx, BENCH, 1):
        pass
    path = ctx.folder / "campaigns" / "3" / "keys-1.age"
    data = path.read_bytes()
    for damaged in (data[:-100], data[:500] + b"x" + data[501:], b"", b"not age"):
        path.write_bytes(damaged)
        with pytest.raises(SealError, match="restore it from a backup"):
            open_keys(ctx, 3, 1)
    path.write_bytes(data)
    ctx.keyring = Keyring.generate()
    with pytest.raises(SealError, match="another Capsule's"):
        open_keys(ctx, 3, 1)
    assert not (ctx.folder / "campaigns" / "3" / "public").exists()


def test_a_folder_that_cannot_be_written_is_named(ctx: Any) -> None:
    (ctx.folder / "campaigns").write_bytes(b"in the way")
    with (
        pytest.raises(NotWritten, match="campaigns/3/public cannot be written"),
        made_keys(ctx, BENCH, 1),
    ):
        pass
