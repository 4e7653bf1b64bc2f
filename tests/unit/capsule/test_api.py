"""The read-only HTTP interface over a folder that no Capsule works in."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.unit.capsule.conftest import Sealed

from openmined.capsule._api import build_api, readiness
from openmined.capsule._pgp import wkd_hash
from openmined.capsule._state import CampaignRow, State


@dataclass
class Client:
    api: FastAPI

    def get(self, path: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://capsule") as client:
                return await client.get(path)

        return asyncio.run(ask())


@pytest.fixture
def client(sealed: Sealed) -> Client:
    return Client(build_api(sealed.folder))


@pytest.fixture
def state(sealed: Sealed) -> State:
    return State.open(sealed.folder)


def test_ready_only_when_unsealed_and_turning(client: Client, state: State) -> None:
    assert client.get("/ready").json() == {"status": "sealed"}
    state.set_meta("seal", "open")
    state.set_meta("turned_at", f"{time.time():.3f}")
    assert client.get("/ready").status_code == 200
    state.set_meta("turned_at", f"{time.time() - 3600:.3f}")
    assert client.get("/ready").json() == {"status": "stalled"}
    assert readiness(state) == "stalled"


def test_metrics_are_prometheus_text(client: Client, state: State) -> None:
    facts = {"version": 3, "batches": 2, "epoch": 1, "decryptions": {"1": 20}}
    state.put_campaign(CampaignRow(7, "launch", "open", facts))
    lines = client.get("/metrics").text.splitlines()
    assert 'capsule_batches_total{campaign="7"} 2' in lines
    assert 'capsule_decryptions_total{campaign="7"} 20' in lines
    assert 'capsule_campaigns{phase="open"} 1' in lines
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    series = {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")}
    assert series == names, "every series has its type"


def test_a_folder_without_state_is_unavailable_not_an_error(sealed: Sealed, client: Client) -> None:
    for path in Path(sealed.folder).glob("capsule.db*"):
        path.unlink()
    for path in ("/ready", "/metrics", "/campaigns", "/campaigns/1/keys"):
        assert client.get(path).status_code == 503, path
    assert client.get("/health").status_code == 200


def test_the_web_key_directory_serves_only_its_own_name(client: Client) -> None:
    base = "/.well-known/openpgpkey/hu/"
    assert client.get(base + wkd_hash("capsule")).status_code == 200
    assert client.get(base + wkd_hash("root")).status_code == 404
    assert client.get(base + "../../wallet.json").status_code == 404
    assert client.get(base + "short").status_code == 422


@pytest.mark.parametrize("campaign", ["0", "-1", "x", "99999999999999999999"])
def test_bad_numbers_are_refused(client: Client, campaign: str) -> None:
    assert client.get(f"/campaigns/{campaign}/keys").status_code == 422


def test_no_file_of_the_folder_can_be_had(client: Client, sealed: Sealed) -> None:
    for path in sealed.folder.iterdir():
        assert client.get(f"/{path.name}").status_code == 404
