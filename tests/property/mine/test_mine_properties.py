"""What must hold for every permission, every table of settings, every history of the chain."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from openmined.mine._campaigns import fold_events
from openmined.mine._ledger import StoredEvent
from openmined.mine._permissions import (
    CampaignRequest,
    DatasetPermission,
    DatasetUse,
    decide,
)
from openmined.mine._tables import conform
from openmined.mine._toml import dump_toml
from openmined.mine.api._uploads import plain_name
from openmined.protocol import Phase, TableSchema

ADDRESSES = st.sampled_from(["0x" + digit * 40 for digit in "0abc"])
AMOUNTS = st.integers(0, 10**30)
HOURS = st.builds(
    "{:02d}:{:02d}-{:02d}:{:02d}".format, *(st.integers(0, 23), st.integers(0, 59)) * 2
)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))

permissions = st.builds(
    DatasetPermission,
    mode=st.sampled_from(["deny", "ask", "automatic"]),
    fields=st.lists(st.sampled_from(["a", "b", "*"]), max_size=3).map(tuple),
    min_bounty_wei=AMOUNTS,
    max_bond_wei=AMOUNTS,
    data_scientists=st.lists(ADDRESSES, max_size=2).map(tuple),
    denied_capsules=st.lists(ADDRESSES, max_size=2).map(tuple),
    max_rounds=st.integers(1, 20),
    epsilon_budget=st.none() | st.floats(0.01, 10),
    hours=st.lists(HOURS, max_size=2).map(tuple),
)
requests = st.builds(
    CampaignRequest,
    campaign=st.integers(1, 9),
    data_scientist=ADDRESSES,
    capsule=ADDRESSES,
    token=ADDRESSES,
    bounty_wei=AMOUNTS,
    bond_wei=AMOUNTS,
    fields=st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=2).map(tuple),
)
uses = st.builds(
    DatasetUse,
    rounds=st.integers(0, 25),
    epsilon_spent=st.floats(0, 20),
    answer=st.sampled_from(["none", "approved", "refused"]),
)


@given(permissions, requests, uses, MOMENTS)
def test_nothing_is_accepted_against_the_owners_word(
    permission: DatasetPermission, request: CampaignRequest, use: DatasetUse, now: datetime
) -> None:
    decision = decide(permission, request, use, now)
    assert decision.causes
    if decision.verdict == "accept":
        assert permission.mode != "deny"
        assert use.answer != "refused"
        assert permission.mode == "automatic" or use.answer == "approved"
        assert request.bounty_wei >= permission.min_bounty_wei
        assert request.bond_wei <= permission.max_bond_wei
        assert use.rounds < permission.max_rounds
        assert "*" in permission.fields or set(request.fields) <= set(permission.fields)
        assert request.capsule not in permission.denied_capsules


@given(permissions, requests, uses, MOMENTS)
def test_asking_for_less_is_never_judged_worse(
    permission: DatasetPermission, request: CampaignRequest, use: DatasetUse, now: datetime
) -> None:
    order = ["refuse", "wait", "ask", "accept"]
    first = decide(permission, request, use, now)
    modest = request.model_copy(
        update={"bounty_wei": request.bounty_wei + 1, "bond_wei": 0, "fields": request.fields[:1]}
    )
    assert order.index(decide(permission, modest, use, now).verdict) >= order.index(first.verdict)


# --- settings ---------------------------------------------------------------------------------

texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
scalars = st.booleans() | st.integers(-(2**62), 2**62) | texts
values = scalars | st.lists(texts, max_size=4) | st.floats(allow_nan=False, allow_infinity=False)
tables = st.recursive(
    st.dictionaries(texts, values, max_size=4),
    lambda inner: st.dictionaries(texts, values | inner, max_size=4),
    max_leaves=8,
)


@given(tables)
def test_toml_is_read_back_as_it_was_written(table: dict[str, Any]) -> None:
    assert tomllib.loads(dump_toml(table)) == table


# --- rows -------------------------------------------------------------------------------------

SCHEMA = TableSchema.model_validate(
    {
        "fields": [
            {"name": "n", "type": "integer"},
            {"name": "x", "type": "number"},
            {"name": "s", "type": "string"},
            {"name": "v", "type": "array", "constraints": {"minLength": 2, "maxLength": 2}},
        ]
    }
)
finite = st.floats(allow_nan=False, allow_infinity=False)
row = st.fixed_dictionaries(
    {
        "n": st.none() | st.integers(-(2**63), 2**63 - 1),
        "x": st.none() | finite,
        "s": st.none() | st.text(st.characters(blacklist_categories=["Cs"]), max_size=9),
        "v": st.lists(finite, min_size=2, max_size=2),
    }
)


@given(st.lists(row, min_size=1, max_size=20))
def test_rows_that_fit_are_never_bent(rows: list[dict[str, Any]]) -> None:
    types = {"n": pa.int64(), "x": pa.float64(), "s": pa.string(), "v": pa.list_(pa.float64())}
    batch = pa.RecordBatch.from_pydict(
        {name: pa.array([r[name] for r in rows], kind) for name, kind in types.items()}
    )
    assert conform(batch, SCHEMA).to_pylist() == rows


@given(st.text(max_size=300))
def test_upload_names_stay_in_their_folder(name: str) -> None:
    plain = plain_name(name)
    assert plain
    assert "/" not in plain
    assert "\\" not in plain
    assert not plain.startswith(".")
    assert plain.isprintable()
    assert len(plain.encode()) <= 255


# --- the chain --------------------------------------------------------------------------------

MINER = "0x" + "ab" * 20
TERMS = {
    "spec": "11" * 32, "capsule": "0x" + "c" * 40, "token": "0x" + "0" * 40, "bounty": "1000",
    "fee": "10", "bond": "10", "start_ppm": "1", "target_ppm": "800000",
    "min_improvement_ppm": "1000", "deadline": "2000000000", "max_gradients": "9",
}  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> list[StoredEvent]:
    """A campaign's life with gradients of this mine and of others."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("CampaignLaunched", {"data_scientist": MINER, "capsule": MINER, "terms": TERMS}),
        ("CampaignOpened", {"keys": "aa" * 32, "model": "bb" * 32, "accuracy_ppm": "1"}),
    ]
    for number in range(draw(st.integers(0, 6))):
        miner = draw(st.sampled_from([MINER, MINER.upper().replace("0X", "0x"), "0x" + "9" * 40]))
        submitted = {"miner": miner, "gradient": str(number), "version": "1", "envelope": "cc" * 32}
        bodies.append(("GradientSubmitted", submitted))
        if draw(st.booleans()):
            scored = {
                "miner": miner, "gradient": str(number), "batch": "1", "share_ppm": "5",
                "payout": str(draw(st.integers(0, 99))), "reason": "0", "bond_returned": "10",
            }  # fmt: skip
            bodies.append(("GradientScored", scored))
    return [
        StoredEvent(block, 0, "0x", f"0x{block}", name, 1, arguments)
        for block, (name, arguments) in enumerate(bodies)
    ]


@settings(max_examples=60)
@given(histories(), st.data())
def test_folding_again_after_a_reorganisation_is_folding_once(
    history: list[StoredEvent], data: st.DataObject
) -> None:
    whole = fold_events(history, MINER)
    fork = data.draw(st.integers(0, len(history)))
    before = fold_events(history[:fork], MINER)
    assert fold_events([*history[:fork], *history[fork:]], MINER) == whole
    assert len(before.get(1, whole[1]).mine) <= len(whole[1].mine)
    paid = sum(
        int(e.arguments["payout"])
        for e in history
        if e.name == "GradientScored" and e.arguments["miner"].lower() == MINER
    )
    assert sum(gradient.payout for gradient in whole[1].mine) == paid
    assert whole[1].phase == Phase.OPEN
