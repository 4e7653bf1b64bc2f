"""What is damaged, missing or away: both mines say the same, wait for the same, go on the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.conformance.mines import (
    DEADLINE_S,
    PYTHON,
    Kind,
    Running,
    environment,
    make_mine,
    node_kind,
    passphrase_file,
    wait_for,
    wait_submitted,
)
from tests.unit.mine.mine_world import ETHER, MineWorld

from openmined.devnet._anvil import free_port
from openmined.mine import MineFolder

Damage = Callable[[Path], object]


def edited(name: str, pattern: str, replacement: str) -> Damage:
    def edit(folder: Path) -> None:
        text, count = re.subn(pattern, replacement, (folder / name).read_text())
        assert count == 1
        (folder / name).write_text(text)

    return edit


def flipped(name: str) -> Damage:
    def flip(folder: Path) -> None:
        (path,) = folder.glob(name)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    return flip


def written(name: str, data: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(data)


NOBODY = f"http://127.0.0.1:{free_port()}"
PART = "datasets/data/part-0001.arrow.age"
DAMAGES: dict[str, tuple[Damage, str]] = {
    "rows": (flipped(PART), "part-0001.arrow.age in data cannot be decrypted"),
    "rows-gone": (lambda folder: (folder / PART).unlink(), "part-0001.arrow.age"),
    "description": (written("datasets/data/dataset.json", b"{"), "dataset.json"),
    "identity": (written("identity.age", b"age?"), "identity"),
    "identity-gone": (lambda folder: (folder / "identity.age").unlink(), "identity.age"),
    "wallet": (written("wallet.json", b"[]"), "wallet.json"),
    "wallet-version": (edited("wallet.json", r'"version": ?3', '"version": 2'), "version 3"),
    "wallet-gone": (lambda folder: (folder / "wallet.json").unlink(), "wallet.json"),
    "ledger": (written("ledger.sqlite", b"no database" * 400), "ledger.sqlite"),
    "chain-away": (edited("mine.toml", r'rpc_url = ".*"', f'rpc_url = "{NOBODY}"'), NOBODY),
    "store-away": (edited("mine.toml", r'store_url = ".*"', f'store_url = "{NOBODY}"'), NOBODY),
    "other-chain": (edited("mine.toml", r"chain_id = \d+", "chain_id = 5"), "chain 31337"),
    "no-contract": (edited("mine.toml", r'sonar = "0x.', 'sonar = "0x0'), "no contract"),
}


@pytest.fixture(scope="module")
def sound(world: MineWorld) -> MineFolder:
    """A folder that would train and submit, were it not for what a test does to it."""
    folder, _ = make_mine(world, "sound")
    world.launch_open()
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_wrong_is_told_alike(sound: MineFolder, damage: str) -> None:
    work, named = DAMAGES[damage]
    secret = passphrase_file(sound.path.parent)
    started = []
    for kind in (PYTHON, node_kind()):
        folder = sound.path.with_name(f"{damage}-{kind.name}")
        shutil.copytree(sound.path, folder)
        work(folder)
        words = ("start", folder, "--once", "--passphrase-file", secret)
        process = subprocess.Popen(
            [*kind.command, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        started.append((folder, process))
    told = [said(folder, process) for folder, process in started]
    assert told[0] == told[1]
    assert named in json.dumps(told[0])


def said(folder: Path, process: subprocess.Popen[str]) -> tuple[Any, ...]:
    """What a mine said of its folder: exit code, error, decisions and problems."""
    out, err = process.communicate(timeout=DEADLINE_S)
    lines = [json.loads(line) for line in out.splitlines()]
    reasons = [
        (
            line["step"],
            line.get("verdict"),
            line.get("reason") or line.get("text") or line.get("problem"),
        )
        for line in lines
        if line["step"] in ("decided", "problem", "failed")
    ]
    text = json.dumps([reasons, " ".join(err.split())]).replace(str(folder), "HERE")
    return process.returncode, *json.loads(text)


def test_a_full_disk_and_an_empty_purse_are_waited_for(world: MineWorld, kind: Kind) -> None:
    folder, secrets = make_mine(world, f"poor-{kind.name}", fund=0)
    miner = secrets.wallet.address
    with Running(kind, folder.path) as mine:
        opened = world.launch_open()

        def reasons() -> list[tuple[str, str]]:
            ledger = folder.ledger()
            found = ledger.decisions()
            ledger.close()
            return [(d.causes[0]["code"], d.text) for d in reversed(found) if d.dataset == "*"]

        def give(amount: int) -> None:
            world.anvil.call("anvil_setBalance", miner, hex(amount))

        wait_for(reasons)
        missing = (
            f"{miner} needs 1001 wei (1001 wei), 0 ETH (0 wei) are there: "
            "send it at least 1001 more and run again"
        )
        assert reasons() == [("funds", missing)]
        # The gradient's file cannot be written, once: /dev/full has no room.
        (folder.outbox / f".{opened.campaign}-1.pgp.partial").symlink_to("/dev/full")
        give(2000)
        wait_for(lambda: len(reasons()) > 2)
        (_, full, gas, *_) = reasons()
        no_room = (
            f"the disk of {folder.outbox} is full: free some space; nothing is lost, "
            "and the mine goes on where it stood"
        )
        assert full == ("waiting", no_room)
        # The bond is there, and nothing for gas.
        needed = re.fullmatch(
            rf"{miner} needs \S+ ETH \((\d+) wei\), 2000 wei \(2000 wei\) are there: "
            r"send it at least (\d+) more and run again",
            gas[1],
        )
        assert needed is not None, gas
        assert int(needed[1]) - 2000 == int(needed[2]) > 10**12
        assert world.submitted(opened.campaign) == []
        give(ETHER)
        wait_submitted(world, opened.campaign)
        mine.stop()
    assert mine.process.returncode == 0
