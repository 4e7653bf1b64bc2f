"""Every test of this folder runs on both mines: the same questions, the same answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.conformance.mines import Kind, kind_of
from tests.unit.mine.mine_world import MineWorld, mine_world


@pytest.fixture(params=["python", "node"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return kind_of(request.param)


@pytest.fixture(scope="module")
def world() -> Iterator[MineWorld]:
    """One chain and one store for a module's campaigns."""
    with mine_world() as made:
        yield made
