"""The local API of a running mine: progress as it happens, withdrawing, ending with the mine."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from tests.unit.mine.folder_world import PASSPHRASE
from tests.unit.mine.mine_world import MineProcess, MineWorld, mine_world, wait_for

from openmined.mine import MineFolder
from openmined.sonar import ETH, Score


@pytest.fixture
def world() -> Iterator[MineWorld]:
    with mine_world() as made:
        yield made


def logged(folder: MineFolder, step: str) -> dict[str, object] | None:
    if not folder.log_path.exists():
        return None
    lines = [json.loads(line) for line in folder.log_path.read_text().splitlines()]
    return next((line for line in lines if line["step"] == step), None)


def follow(client: httpx.Client, until: str, headers: dict[str, str]) -> tuple[list[str], str]:
    """Read events until a step; return the steps and the last event's id."""
    steps, last = [], ""
    with client.stream("GET", "/api/v1/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("id: "):
                last = line[4:]
            if line.startswith("data: "):
                steps.append(json.loads(line[6:])["step"])
                if steps[-1] == until:
                    break
    return steps, last


def test_a_running_mine_shows_its_work_and_pays_out(world: MineWorld) -> None:
    api = {"enabled": True, "port": 0}
    folder, secrets = world.make_mine(api=api)
    with MineProcess(folder.path) as mine:
        url = str(wait_for(lambda: logged(folder, "serving"))["url"])
        with httpx.Client(base_url=url, timeout=60) as client:
            wait_for(lambda: client.get("/api/v1/health").json()["status"] == "ok")
            assert client.get("/api/v1/events").status_code == 401
            client.post("/api/v1/session", json={"passphrase": PASSPHRASE}).raise_for_status()

            opened = world.launch_open()
            steps, place = follow(client, "submitted", {})
            assert [s for s in ("seen", "trained", "sealed", "submitted") if s in steps] == [
                "seen",
                "trained",
                "sealed",
                "submitted",
            ]
            (event,) = world.wait_submitted(opened.campaign)
            world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
            # A connection that broke goes on behind what it has seen.
            steps, _ = follow(client, "outcome", {"last-event-id": place})
            assert "submitted" not in steps

            owed = client.get("/api/v1/earnings").json()["withdrawable_wei"][ETH]
            assert int(owed) == world.capsule.credit(ETH, secrets.wallet.address)
            before = world.capsule.balance(secrets.wallet.address)
            client.post("/api/v1/withdrawals", json={}).raise_for_status()
            done = wait_for(
                lambda: next(
                    (w for w in client.get("/api/v1/withdrawals").json() if w["state"] == "done"),
                    None,
                )
            )
            assert (done["amount_wei"], bool(done["tx"])) == (owed, True)
            gained = world.capsule.balance(secrets.wallet.address) - before
            assert 0 < int(owed) - gained < 10**15, "all of it, less gas"
            wait_for(lambda: client.get("/api/v1/earnings").json()["withdrawable_wei"] == {})
        mine.stop()
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/api/v1/health")


def test_the_api_ends_when_its_mine_is_killed(world: MineWorld) -> None:
    folder, _ = world.make_mine(api={"enabled": True, "port": 0})
    with MineProcess(folder.path) as mine:
        url = str(wait_for(lambda: logged(folder, "serving"))["url"])
        wait_for(lambda: httpx.get(f"{url}/api/v1/health").status_code == 200)
        mine.process.kill()

        def gone() -> bool:
            try:
                httpx.get(f"{url}/api/v1/health", timeout=1)
            except httpx.HTTPError:
                return True
            return False

        wait_for(gone)


def test_a_port_in_use_is_said(world: MineWorld) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder, _ = world.make_mine(api={"enabled": True, "port": port})
        with MineProcess(folder.path) as mine:
            output, _ = mine.process.communicate(timeout=30)
    assert mine.process.returncode == 1
    assert f"port {port}" in output.replace("\n", " ")
    assert "choose another port" in output.replace("\n", " ")
