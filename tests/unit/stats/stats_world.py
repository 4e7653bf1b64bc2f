"""A chain with Sonar on it, in memory: what the contract would log, and a node that tells of it.

`World` keeps the contract's books in plain Python, so that every history it makes is one the
contract could have made; `Node` answers JSON-RPC as a node does, faults included when asked.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import eth_abi
import httpx
from eth_utils import keccak

from openmined.sonar.contract import load_artifact
from openmined.stats._chain import Chain
from openmined.stats._rpc import Rpc

ETH = "0x" + "00" * 20
COIN = "0x" + "c0" * 20
SONAR = "0x" + "50" * 20
PPM = 1_000_000
START_S = 1_900_000_000
EMPTY = b"\0" * 32
CHAIN_ID = 31_337


def address(role: str, number: int = 0) -> str:
    return "0x" + hashlib.sha256(f"{role}-{number}".encode()).hexdigest()[:40]


def digest(*parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def _type(parameter: dict[str, Any]) -> str:
    if parameter["type"] == "tuple":
        return f"({','.join(_type(part) for part in parameter['components'])})"
    return str(parameter["type"])


ABI = {entry["name"]: entry for entry in load_artifact().abi if entry["type"] == "event"}
TOPICS = {
    name: keccak(text=f"{name}({','.join(_type(i) for i in entry['inputs'])})")
    for name, entry in ABI.items()
}


def encode_event(name: str, values: dict[str, Any]) -> tuple[list[str], str]:
    """Encode an event with eth_abi, an implementation that is not the one under test."""
    topics, types, plain = [TOPICS[name]], [], []
    for parameter in ABI[name]["inputs"]:
        value = values[parameter["name"]]
        if parameter["indexed"]:
            topics.append(eth_abi.encode([parameter["type"]], [value]))
        else:
            types.append(_type(parameter))
            plain.append(value)
    return ["0x" + topic.hex() for topic in topics], "0x" + eth_abi.encode(types, plain).hex()


@dataclass
class Campaign:
    number: int
    scientist: str
    terms: dict[str, Any]
    phase: int = 1
    version: int = 0
    epoch: int = 0
    best: int = 0
    batches: int = 0
    paid: int = 0
    bounty: int = 0
    gradients: list[str] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)


@dataclass
class Block:
    number: int
    hash: str
    parent: str
    timestamp: int
    logs: list[dict[str, Any]]


def _bloom() -> str:
    bits = 0
    hashed = keccak(bytes.fromhex(SONAR[2:]))
    for start in (0, 2, 4):
        bits |= 1 << (int.from_bytes(hashed[start : start + 2], "big") & 2047)
    return "0x" + bits.to_bytes(256, "big").hex()


SONAR_BLOOM, NO_BLOOM = _bloom(), "0x" + "00" * 256


class World:
    """The contract's books and the chain that they are written on."""

    def __init__(self, seed: int = 0, deployed_at: int = 3) -> None:
        self.random = random.Random(seed)
        self.branch = 0
        self.now = START_S
        self.campaigns: list[Campaign] = []
        self.credit: dict[tuple[str, str], int] = {}
        self.logs: list[tuple[str, dict[str, Any]]] = []
        self.deployed_at = deployed_at
        self.blocks: list[Block] = []
        self._past: list[Any] = []
        for _ in range(deployed_at + 1):
            self.mine()

    # ---------------------------------------------------------------------------------- the chain

    def mine(self, seconds: int = 12) -> Block:
        self.now += seconds
        number = len(self.blocks)
        parent = self.blocks[-1].hash if self.blocks else "0x" + "00" * 32
        hashed = "0x" + digest(number, parent, self.branch, self.logs).hex()
        block = Block(number, hashed, parent, self.now, [])
        for index, (name, values) in enumerate(self.logs):
            topics, data = encode_event(name, values)
            block.logs.append(
                {
                    "address": SONAR,
                    "topics": topics,
                    "data": data,
                    "blockNumber": hex(number),
                    "blockHash": hashed,
                    "transactionHash": "0x" + digest(hashed, index // 3).hex(),
                    "logIndex": hex(2 * index + 1),
                    "removed": False,
                }
            )
        self.blocks.append(block)
        self.logs = []
        self._past.append(copy.deepcopy((self.campaigns, self.credit, self.now)))
        return block

    def fork(self, depth: int) -> None:
        """Forget the newest blocks; what is mined next is another history."""
        depth = min(depth, len(self.blocks) - self.deployed_at - 1)
        if depth > 0:
            del self.blocks[-depth:], self._past[-depth:]
        self.campaigns, self.credit, self.now = copy.deepcopy(self._past[-1])
        self.logs = []
        self.branch += 1

    @property
    def head(self) -> int:
        return len(self.blocks) - 1

    # ------------------------------------------------------------------------------- the contract

    def log(self, name: str, **values: Any) -> None:
        self.logs.append((name, values))

    def _owe(self, account: str, token: str, amount: int) -> None:
        self.credit[account, token] = self.credit.get((account, token), 0) + amount

    def launch(self, scientist: int = 0, capsule: int = 0, **changes: Any) -> Campaign:
        number = len(self.campaigns) + 1
        terms = {
            "spec": digest("spec", number % 7),
            "capsule": address("capsule", capsule),
            "token": ETH,
            "bounty": 1000,
            "fee": 0,
            "bond": 10,
            "start_ppm": 100_000,
            "start_tolerance_ppm": 5_000,
            "target_ppm": 800_000,
            "min_improvement_ppm": 1_000,
            "deadline": self.now + 86_400,
            "grace": 3600,
            "max_gradients": 100,
            "max_batch": 64,
        } | changes
        campaign = Campaign(number, address("scientist", scientist), terms, bounty=terms["bounty"])
        self.campaigns.append(campaign)
        self.log(
            "CampaignLaunched",
            campaign=number,
            data_scientist=campaign.scientist,
            capsule=terms["capsule"],
            nonce=digest("nonce", number),
            terms=tuple(terms.values()),
        )
        return campaign

    def top_up(self, campaign: Campaign, amount: int, sender: int = 0) -> None:
        campaign.bounty += amount
        self.log(
            "BountyToppedUp",
            campaign=campaign.number,
            sender=address("sponsor", sender),
            amount=amount,
            bounty=campaign.bounty,
        )

    def _end(self, campaign: Campaign, phase: int, fee: int = 0) -> int:
        campaign.phase = phase
        refund = campaign.bounty - campaign.paid - fee
        self._owe(campaign.scientist, campaign.terms["token"], refund)
        return refund

    def cancel(self, campaign: Campaign) -> None:
        self.log("CampaignCancelled", campaign=campaign.number, refund=self._end(campaign, 5))

    def reject(self, campaign: Campaign, reason: str = "no such data") -> None:
        refund = self._end(campaign, 4)
        self.log("CampaignRejected", campaign=campaign.number, reason=reason, refund=refund)

    def open(self, campaign: Campaign, accuracy_ppm: int = 100_000) -> None:
        campaign.phase, campaign.version, campaign.epoch = 2, 1, 1
        campaign.best = accuracy_ppm
        self.log(
            "CampaignOpened",
            campaign=campaign.number,
            keys=digest("keys", campaign.number, 1),
            model=digest("model", campaign.number, 1),
            accuracy_ppm=accuracy_ppm,
        )

    def rotate(self, campaign: Campaign) -> None:
        campaign.epoch += 1
        campaign.version += 1
        self.log(
            "KeysRotated",
            campaign=campaign.number,
            epoch=campaign.epoch,
            version=campaign.version,
            keys=digest("keys", campaign.number, campaign.epoch),
            model=digest("model", campaign.number, campaign.version),
        )

    def submit(self, campaign: Campaign, miner: int = 0) -> int:
        gradient = len(campaign.gradients)
        campaign.gradients.append(address("miner", miner))
        campaign.pending.append(gradient)
        self.log(
            "GradientSubmitted",
            campaign=campaign.number,
            miner=campaign.gradients[gradient],
            gradient=gradient,
            version=campaign.version,
            envelope=digest("envelope", campaign.number, gradient),
        )
        return gradient

    def score(
        self, campaign: Campaign, accuracy_ppm: int, shares: dict[int, int], reasons: dict[int, int]
    ) -> None:
        """`shares` of accepted and `reasons` of rejected gradients, by their numbers."""
        terms = campaign.terms
        target, best = terms["target_ppm"], campaign.best
        total = 0
        if accuracy_ppm >= best + terms["min_improvement_ppm"] or (
            accuracy_ppm >= target and accuracy_ppm > best
        ):
            campaign.best = min(accuracy_ppm, target)
            total = (campaign.best - best) * (campaign.bounty - terms["fee"]) // target
        else:
            shares = dict.fromkeys(shares, 0)
        campaign.batches += 1
        paid = forfeited = 0
        for gradient in (*shares, *reasons):
            share, reason = shares.get(gradient, 0), reasons.get(gradient, 0)
            payout = total * share // PPM
            bond = 0 if 0 < reason < 128 else terms["bond"]
            paid += payout
            forfeited += terms["bond"] - bond
            campaign.pending.remove(gradient)
            self._owe(campaign.gradients[gradient], terms["token"], payout + bond)
            self.log(
                "GradientScored",
                campaign=campaign.number,
                miner=campaign.gradients[gradient],
                gradient=gradient,
                batch=campaign.batches,
                share_ppm=share,
                payout=payout,
                reason=reason,
                bond_returned=bond,
            )
        improved = campaign.best > best
        campaign.version += improved
        campaign.paid += paid
        campaign.bounty += forfeited
        self.log(
            "BatchScored",
            campaign=campaign.number,
            batch=campaign.batches,
            accuracy_ppm=accuracy_ppm,
            best_ppm=campaign.best,
            version=campaign.version,
            model=digest("model", campaign.number, campaign.version) if improved else EMPTY,
            receipt=digest("receipt", campaign.number, campaign.batches),
            paid=paid,
            forfeited=forfeited,
            bounty=campaign.bounty,
        )

    def deliver(self, campaign: Campaign) -> None:
        fee = campaign.terms["fee"]
        refund = self._end(campaign, 3, fee)
        self._owe(campaign.terms["capsule"], campaign.terms["token"], fee)
        self.log(
            "CampaignDelivered",
            campaign=campaign.number,
            delivery=digest("delivery", campaign.number),
            fee=fee,
            refund=refund,
        )

    def expire(self, campaign: Campaign, sender: int = 0) -> None:
        self.log(
            "CampaignExpired",
            campaign=campaign.number,
            sender=address("stranger", sender),
            refund=self._end(campaign, 6),
        )

    def reclaim(self, campaign: Campaign) -> None:
        for gradient in campaign.pending:
            miner, bond = campaign.gradients[gradient], campaign.terms["bond"]
            self._owe(miner, campaign.terms["token"], bond)
            self.log(
                "BondReclaimed",
                campaign=campaign.number,
                miner=miner,
                gradient=gradient,
                amount=bond,
            )
        campaign.pending = []

    def withdraw(self, account: str, token: str) -> None:
        self.log(
            "Withdrawn", token=token, account=account, amount=self.credit.pop((account, token))
        )

    # -------------------------------------------------------------------------------- random acts

    def act(self) -> None:
        """Do one random thing that the contract allows."""
        choices: list[Callable[[], None]] = [self._random_launch]
        for campaign in self.campaigns:
            if campaign.phase == 1:
                choices += [lambda c=campaign: self.open(c, self.random.randrange(1, 700_000))] * 3
                choices += [lambda c=campaign: self.cancel(c)]
                choices += [lambda c=campaign: self.reject(c, "räson \0 <script>'; --")]
                choices += [lambda c=campaign: self.top_up(c, self.random.randrange(1, 10**30))]
            if campaign.phase == 2:
                choices += [lambda c=campaign: self.submit(c, self.random.randrange(5))] * 4
                choices += [lambda c=campaign: self._random_batch(c)] * 4
                choices += [lambda c=campaign: self.rotate(c), lambda c=campaign: self.deliver(c)]
            if campaign.phase in (1, 2):
                choices += [lambda c=campaign: self.expire(c)]
            if campaign.phase in (3, 6) and campaign.pending:
                choices += [lambda c=campaign: self.reclaim(c)]
        for (account, token), amount in self.credit.items():
            if amount:
                choices.append(lambda a=account, t=token: self.withdraw(a, t))
        self.random.choice(choices)()

    def _random_launch(self) -> None:
        bounty = self.random.choice([1000, 10**18, 10**38])
        self.launch(
            self.random.randrange(3),
            self.random.randrange(2),
            token=self.random.choice([ETH, COIN]),
            bounty=bounty,
            fee=self.random.choice([0, bounty // 10]),
            bond=self.random.choice([0, 10]),
        )

    def _random_batch(self, campaign: Campaign) -> None:
        chosen = self.random.sample(
            campaign.pending, self.random.randint(0, min(4, len(campaign.pending)))
        )
        if not chosen:
            return
        bad = {g: self.random.choice([1, 3, 128]) for g in chosen if self.random.random() < 0.3}
        good = [gradient for gradient in chosen if gradient not in bad]
        shares = {gradient: PPM // len(good) for gradient in good}
        if good:
            shares[good[0]] += PPM - sum(shares.values())
        accuracy = campaign.best + self.random.choice([0, 500, 20_000, 400_000])
        self.score(campaign, min(PPM, accuracy) if good else campaign.best, shares, bad)


class Node:
    """Answers for a world, over httpx's transport interface; counts what it was asked.

    `faults` is called with (method, answer) and may change the answer or raise.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.max_range: int | None = None
        self.code = "0x" + load_artifact().deployed_bytecode.hex()
        self.asked: list[str] = []
        self.faults: Callable[[str, Any], Any] = lambda method, answer: answer
        self.on_request: Callable[[], None] = lambda: None
        self.shuffle: random.Random | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.on_request()
        body = json.loads(request.content)
        answers = [self.answer(one) for one in (body if isinstance(body, list) else [body])]
        if self.shuffle is not None and isinstance(body, list):
            answers += self.shuffle.sample(answers, len(answers) // 2)
            self.shuffle.shuffle(answers)
        return httpx.Response(200, json=answers if isinstance(body, list) else answers[0])

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        method = call["method"]
        self.asked.append(method)
        try:
            result = getattr(self, method)(*call["params"])
            result = self.faults(method, copy.deepcopy(result))
        except LookupError as error:
            fault = {"code": -32005, "message": str(error)}
            return {"jsonrpc": "2.0", "id": call["id"], "error": fault}
        return {"jsonrpc": "2.0", "id": call["id"], "result": result}

    def eth_chainId(self) -> str:  # noqa: N802
        return hex(CHAIN_ID)

    def eth_blockNumber(self) -> str:  # noqa: N802
        return hex(self.world.head)

    def eth_getCode(self, _address: str, tag: str) -> str:  # noqa: N802
        number = self.world.head if tag == "latest" else int(tag, 16)
        return self.code if number >= self.world.deployed_at else "0x"

    def eth_getBlockByNumber(self, tag: str, _full: bool) -> dict[str, Any] | None:  # noqa: N802
        number = int(tag, 16)
        if number > self.world.head:
            return None
        block = self.world.blocks[number]
        return {
            "number": hex(number),
            "hash": block.hash,
            "parentHash": block.parent,
            "timestamp": hex(block.timestamp),
            "logsBloom": SONAR_BLOOM if block.logs else NO_BLOOM,
        }

    def eth_getLogs(self, query: dict[str, Any]) -> list[dict[str, Any]]:  # noqa: N802
        assert query["address"] == SONAR
        if "blockHash" in query:
            return [
                log for b in self.world.blocks if b.hash == query["blockHash"] for log in b.logs
            ]
        first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
        if self.max_range is not None and last - first + 1 > self.max_range:
            raise LookupError("query returned more than 10000 results")
        return [log for block in self.world.blocks[first : last + 1] for log in block.logs]

    def chain(self, **settings: Any) -> Chain:
        rpc = Rpc(
            "http://node.invalid",
            transport=httpx.MockTransport(self),
            wait=lambda seconds: None,
            batch=settings.pop("batch", 100),
            tries=settings.pop("tries", 5),
        )
        return Chain(rpc, SONAR, **settings)
