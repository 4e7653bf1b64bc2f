"""Whatever bytes a stranger sends as a validation set, the answer is a table or a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.capsule.test_validation import GOOD, manifest

from openmined.capsule import CampaignRefused
from openmined.capsule._validation import parse_table

MANIFEST = manifest()


@given(st.binary(max_size=400) | st.text(max_size=400).map(str.encode))
def test_arbitrary_bytes(data: bytes) -> None:
    with pytest.raises(CampaignRefused):
        parse_table(data, MANIFEST, 100)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=12))
def test_damaged_tables(place: int, junk: bytes) -> None:
    data = GOOD[:place] + junk + GOOD[place + len(junk) :]
    try:
        table = parse_table(data, MANIFEST, 100)
    except CampaignRefused:
        return
    assert set(table) >= {"age", "kind"}
    assert all(label in ("a", "b") for label in table["kind"])
