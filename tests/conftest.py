"""What holds for all tests."""

from __future__ import annotations

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def old_objects_rest() -> None:
    """Keep what earlier files left behind from slowing the collection of garbage in this one.

    A process of the suite grows to gigabytes; one that makes many objects, as an EVM does, then
    spends most of its time on looking at old ones.
    """
    gc.collect()
    gc.freeze()
