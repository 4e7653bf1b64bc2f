"""A long valid history of Sonar as raw logs in a file, and a node that serves it.

`python benchmarks/stats_history.py serve FILE` prints its URL.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO

from eth_utils.crypto import keccak

from openmined.sonar.contract import load_artifact

SONAR = "0x" + "50" * 20
CHAIN_ID = 31_337
PPM = 1_000_000
START_S = 1_900_000_000
BLOCK_S = 12
TARGET, BOUNTY, BOND = 800_000, 10**18, 10**12
MINES, AT_ONCE, PER_CAMPAIGN, BATCH = 2_000, 40, 400, 10
LOGS_PER_BLOCK = 48


def _signature(entry: dict[str, Any]) -> str:
    def kind(parameter: dict[str, Any]) -> str:
        if parameter["type"] == "tuple":
            return f"({','.join(kind(part) for part in parameter['components'])})"
        return str(parameter["type"])

    return f"{entry['name']}({','.join(kind(i) for i in entry['inputs'])})"


TOPICS = {
    entry["name"]: "0x" + keccak(text=_signature(entry)).hex()
    for entry in load_artifact().abi
    if entry["type"] == "event"
}


def word(value: int) -> str:
    return f"{value:064x}"


def address(role: str, number: int) -> str:
    return sha256(f"{role}{number}".encode()).hexdigest()[:40].rjust(64, "0")


def digest(*parts: object) -> str:
    return sha256(repr(parts).encode()).hexdigest()


@dataclass
class Running:
    number: int
    best: int = 100_000
    gradients: list[str] = field(default_factory=list)
    scored: int = 0
    batches: int = 0
    paid: int = 0


class Writer:
    """Writes blocks as lines: header, then logs, both as JSON text ready to serve."""

    def __init__(self, file: BinaryIO, events: int) -> None:
        self.file, self.wanted = file, events
        self.random = random.Random(1)
        self.events = self.block = self.campaigns = 0
        self.parent = "00" * 32
        self.logs: list[tuple[list[str], str]] = []
        self.running: list[Running] = []

    def log(self, name: str, indexed: list[str], *words: str) -> None:
        self.logs.append(([TOPICS[name], *("0x" + topic for topic in indexed)], "".join(words)))
        self.events += 1

    def seal(self) -> None:
        hashed = digest(self.block, self.parent)
        header = {
            "number": hex(self.block),
            "hash": "0x" + hashed,
            "parentHash": "0x" + self.parent,
            "timestamp": hex(START_S + BLOCK_S * self.block),
            "logsBloom": "0x" + ("ff" if self.logs else "00") * 256,
        }
        logs = [
            {
                "address": SONAR,
                "topics": topics,
                "data": "0x" + data,
                "blockNumber": hex(self.block),
                "blockHash": "0x" + hashed,
                "transactionHash": "0x" + digest(hashed, index // 4),
                "logIndex": hex(index),
                "removed": False,
            }
            for index, (topics, data) in enumerate(self.logs)
        ]
        line = json.dumps(header) + "\t" + ",".join(json.dumps(log) for log in logs)
        self.file.write(line.encode() + b"\n")
        self.parent, self.logs = hashed, []
        self.block += 1

    def write(self) -> None:
        for _ in range(3):
            self.seal()
        while self.events < self.wanted:
            if len(self.running) < AT_ONCE:
                self.launch()
            campaign = self.random.choice(self.running)
            if len(campaign.gradients) - campaign.scored >= BATCH:
                self.score(campaign)
            else:
                self.submit(campaign)
            if len(self.logs) >= LOGS_PER_BLOCK:
                self.seal()
        self.seal()

    def launch(self) -> None:
        self.campaigns += 1
        campaign = Running(self.campaigns)
        number = word(campaign.number)
        capsule = address("capsule", campaign.number % 7)
        terms = (
            digest("spec", campaign.number),
            capsule,
            word(0),
            *(word(n) for n in (BOUNTY, BOUNTY // 100, BOND, 100_000, 5_000, TARGET, 1_000)),
            word(START_S + 10**8),
            *(word(n) for n in (3600, 100_000, 64)),
        )
        scientist = address("scientist", campaign.number % 97)
        self.log(
            "CampaignLaunched",
            [number, scientist, capsule],
            digest("nonce", campaign.number),
            *terms,
        )
        self.log(
            "CampaignOpened", [number], digest("keys", number), digest("m", number), word(100_000)
        )
        self.running.append(campaign)

    def submit(self, campaign: Running) -> None:
        miner = address("mine", int(MINES * self.random.random() ** 2))
        gradient = len(campaign.gradients)
        campaign.gradients.append(miner)
        self.log(
            "GradientSubmitted",
            [word(campaign.number), miner],
            word(gradient),
            word(1),
            digest("envelope", campaign.number, gradient),
        )

    def score(self, campaign: Running) -> None:
        number = word(campaign.number)
        campaign.batches += 1
        gain = min(20_000, TARGET - campaign.best)
        total = gain * (BOUNTY - BOUNTY // 100) // TARGET
        share = PPM // BATCH
        for gradient in range(campaign.scored, campaign.scored + BATCH):
            payout = total * share // PPM
            campaign.paid += payout
            self.log(
                "GradientScored",
                [number, campaign.gradients[gradient]],
                *(word(n) for n in (gradient, campaign.batches, share, payout, 0, BOND)),
            )
        campaign.scored += BATCH
        campaign.best += gain
        paid = BATCH * (total * share // PPM)
        self.log(
            "BatchScored",
            [number],
            *(word(n) for n in (campaign.batches, campaign.best, campaign.best, 1)),
            "00" * 32,
            digest("receipt", campaign.number, campaign.batches),
            *(word(n) for n in (paid, 0, BOUNTY)),
        )
        if campaign.best >= TARGET or len(campaign.gradients) >= PER_CAMPAIGN:
            fee = BOUNTY // 100
            self.log(
                "CampaignDelivered",
                [number],
                digest("delivery", campaign.number),
                word(fee),
                word(BOUNTY - campaign.paid - fee),
            )
            self.running.remove(campaign)


def write_history(path: Path, events: int) -> int:
    """Write a history of at least that many events; return how many."""
    with path.open("wb") as file:
        writer = Writer(file, events)
        writer.write()
    return writer.events


class HistoryNode:
    """Answers JSON-RPC from a history file, copying text rather than building it."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("rb")
        self.offsets = [0]
        for line in self.file:
            self.offsets.append(self.offsets[-1] + len(line))
        self.head = len(self.offsets) - 2
        self.code = "0x" + load_artifact().deployed_bytecode.hex()

    def lines(self, first: int, last: int) -> list[bytes]:
        self.file.seek(self.offsets[first])
        data = self.file.read(self.offsets[last + 1] - self.offsets[first])
        return data.rstrip(b"\n").split(b"\n")

    def result(self, method: str, parameters: list[Any]) -> bytes:
        if method == "eth_chainId":
            return json.dumps(hex(CHAIN_ID)).encode()
        if method == "eth_blockNumber":
            return json.dumps(hex(self.head)).encode()
        if method == "eth_getCode":
            return json.dumps(self.code).encode()
        if method == "eth_getBlockByNumber":
            number = int(parameters[0], 16)
            return self.lines(number, number)[0].split(b"\t")[0] if number <= self.head else b"null"
        query = parameters[0]
        if "blockHash" in query:
            return b"[]"
        lines = self.lines(int(query["fromBlock"], 16), int(query["toBlock"], 16))
        logs = [line.split(b"\t", 1)[1] for line in lines]
        return b"[" + b",".join(part for part in logs if part) + b"]"

    def answer(self, call: dict[str, Any]) -> bytes:
        result = self.result(call["method"], call["params"])
        return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (call["id"], result)


def serve(path: Path) -> None:
    node = HistoryNode(path)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            calls = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if isinstance(calls, list):
                body = b"[" + b",".join(node.answer(call) for call in calls) + b"]"
            else:
                body = node.answer(calls)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[2]))
