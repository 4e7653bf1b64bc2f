"""The Sonar contract as a Python object: one method per function, one class per event."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from openmined.protocol import GradientStatus, Phase
from openmined.sonar import _erc20
from openmined.sonar._abi import Function, sonar_abi
from openmined.sonar._currency import ETHER, Currency
from openmined.sonar._errors import (
    ChainError,
    NoContract,
    NotEnoughFunds,
    NoWallet,
    Reverted,
    RpcRefused,
    UndecodableAnswer,
    UnknownCampaign,
    WalletError,
    WrongChain,
    WrongContract,
    redact_url,
)
from openmined.sonar._events import (
    CampaignEvent,
    CampaignLaunched,
    GradientSubmitted,
    SonarEvent,
    decode_log,
)
from openmined.sonar._home import openmined_home
from openmined.sonar._logs import fetch_logs
from openmined.sonar._rpc import Rpc, read_timestamp
from openmined.sonar._send import Call, Sender, as_revert
from openmined.sonar._types import (
    ETH,
    CampaignState,
    GradientState,
    Receipt,
    Score,
    SubmittedGradient,
    Terms,
    checked_address,
    checked_digest,
)
from openmined.sonar._wallet import DEVNET_CHAINS, Wallet
from openmined.sonar.contract import load_artifact

DEFAULT_MAX_FEE_WEI = 10**17
"""The most that one transaction may cost in fees unless the caller says otherwise: 0.1 ETH."""

E = TypeVar("E", bound=SonarEvent)
_CLOCK_ENTRIES = 4096


def connect_sonar(
    rpc_url: str,
    address: str,
    wallet: Wallet | None = None,
    *,
    chain_id: int | None = None,
    max_fee_wei: int = DEFAULT_MAX_FEE_WEI,
    timeout_s: float = 180.0,
    retry_s: float = 10.0,
    poll_s: float | None = None,
    raise_fee_after_s: float = 45.0,
    lock_folder: Path | None = None,
    transport: httpx.BaseTransport | None = None,
) -> SonarContract:
    """Connect to a Sonar contract and check that it is one.

    Args:
        rpc_url: address of an Ethereum node's HTTP JSON-RPC.
        address: the contract's.
        wallet: signs transactions; without one the client only reads.
        chain_id: the chain expected; None takes the node's.
        max_fee_wei: the most that one transaction may cost in fees.
        timeout_s: how long a transaction is awaited.
        retry_s: for how long a silent node is asked again.
        poll_s: pause between looks for a receipt; by default by the chain's block time.
        raise_fee_after_s: after this long unmined, a transaction's fee is raised.
        lock_folder: where accounts are locked while they send.
        transport: replaces the network, for tests.

    Raises:
        RpcUnreachable, WrongChain, NoContract, WrongContract: see there.
        WalletError: if a devnet account is used elsewhere.
    """
    rpc = Rpc(rpc_url, retry_s=retry_s, transport=transport)
    try:
        found = read_chain_id(rpc, wallet, chain_id)
        address = checked_address(address)
        _check_code(rpc, address, found)
        sender = None
        if wallet is not None:
            sender = Sender(
                rpc,
                found,
                wallet,
                max_fee_wei=max_fee_wei,
                timeout_s=timeout_s,
                poll_s=poll_s or choose_poll_s(rpc, found),
                raise_after_s=raise_fee_after_s,
                lock_folder=lock_folder or openmined_home() / "locks",
            )
    except BaseException:
        rpc.close()
        raise
    return SonarContract(rpc, found, address, wallet, sender)


class SonarContract:
    """One Sonar contract on one chain. Made by `connect_sonar`. Safe for many threads.

    Every call that changes something is simulated first, priced, capped, sent and awaited. It
    raises `Reverted` with the contract's reason, `NotEnoughFunds`, `FeeAboveCap`, or one of the
    other errors of `TransactionError`.
    """

    def __init__(
        self, rpc: Rpc, chain_id: int, address: str, wallet: Wallet | None, sender: Sender | None
    ) -> None:
        self._rpc = rpc
        self._sender = sender
        self._currencies: dict[str, Currency] = {}
        self._clock: OrderedDict[str, int] = OrderedDict()
        self._clock_lock = threading.Lock()
        self.chain_id = chain_id
        self.address = address
        self.wallet = wallet

    def __repr__(self) -> str:
        return f"SonarContract({self.address} on chain {self.chain_id})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections to the node."""
        self._rpc.close()

    # The data scientist's calls.

    def launch_campaign(self, nonce: bytes, terms: Terms) -> int:
        """Deposit the bounty and launch; return the campaign's number.

        Done twice with the same nonce and manifest it is one campaign: the second call sends
        nothing. ERC-20 bounties are approved first, for exactly their amount.
        """
        checked_digest(nonce)
        known = self.campaign_of(self._signer().address, nonce)
        if known:
            if self.campaign(known).terms.spec != terms.spec:
                raise Reverted("Sonar: nonce used")
            return known
        value = self._provide(terms.token, terms.bounty)
        _, events = self._transact("launch_campaign", nonce, terms.encoded(), value=value)
        return _only(events, CampaignLaunched).campaign

    def top_up(self, campaign: int, amount: int) -> Receipt:
        """Add `amount` to a campaign's bounty. Anybody may, before its deadline."""
        value = self._provide(self._state(campaign).terms.token, amount)
        return self._transact("top_up", campaign, amount, value=value)[0]

    def cancel_campaign(self, campaign: int) -> Receipt:
        """Take an unopened campaign back; the whole bounty is credited."""
        return self._transact("cancel_campaign", campaign)[0]

    # Capsule's calls.

    def reject_campaign(self, campaign: int, reason: str) -> Receipt:
        """Decline an unopened campaign, with a reason of at most 96 bytes, cut if longer."""
        text = reason.encode()[:96].decode(errors="ignore")
        return self._transact("reject_campaign", campaign, text)[0]

    def open_campaign(self, campaign: int, keys: bytes, model: bytes, accuracy_ppm: int) -> Receipt:
        """Publish the digests of keys and first model, and the measured starting accuracy."""
        arguments = (checked_digest(keys), checked_digest(model), accuracy_ppm)
        return self._transact("open_campaign", campaign, *arguments)[0]

    def score_batch(
        self,
        campaign: int,
        batch: int,
        version: int,
        accuracy_ppm: int,
        model: bytes,
        receipt: bytes,
        scores: Sequence[Score],
    ) -> Receipt:
        """Report a scored batch; `model` is 32 zero bytes when no new version was made.

        It names its place: the batch's number (from 1) and the model version that it was scored
        on. When the chain stands elsewhere (another report came first, or a reorganisation took
        one away) it is refused, and counts in no other batch's place.
        """
        place = (campaign, batch, version)
        digests = (checked_digest(model), checked_digest(receipt))
        rows = [(score.gradient, score.share_ppm, score.reason) for score in scores]
        return self._transact("score_batch", *place, accuracy_ppm, *digests, rows)[0]

    def rotate_keys(self, campaign: int, version: int, keys: bytes, model: bytes) -> Receipt:
        """Publish new keys, and the current model, of this version, encrypted anew."""
        digests = (checked_digest(keys), checked_digest(model))
        return self._transact("rotate_keys", campaign, version, *digests)[0]

    def deliver(self, campaign: int, batch: int, delivery: bytes) -> Receipt:
        """Publish the digest of the delivery: the fee is credited, the remainder refunded.

        `batch` is the last one scored (0: none), so that nothing unpaid is delivered.
        """
        return self._transact("deliver", campaign, batch, checked_digest(delivery))[0]

    # Miners' calls.

    def submit_gradient(self, campaign: int, version: int, envelope: bytes) -> SubmittedGradient:
        """Submit the digest of a gradient manifest, with the bond.

        Not idempotent: the contract takes the same envelope twice, and a second bond with it.
        Look at `events` for one's own before sending again.
        """
        terms = self._state(campaign).terms
        value = self._provide(terms.token, terms.bond)
        receipt, events = self._transact(
            "submit_gradient", campaign, version, checked_digest(envelope), value=value
        )
        submitted = _only(events, GradientSubmitted)
        return SubmittedGradient(submitted.gradient, receipt.transaction)

    # Anybody's calls.

    def expire_campaign(self, campaign: int) -> Receipt:
        """End a campaign that Capsule left alone beyond deadline and grace."""
        return self._transact("expire_campaign", campaign)[0]

    def reclaim_bonds(self, campaign: int, gradients: Sequence[int]) -> Receipt:
        """Credit the bonds of gradients that were never scored, once the campaign has ended."""
        return self._transact("reclaim_bonds", campaign, list(gradients))[0]

    def withdraw(self, token: str = ETH) -> Receipt:
        """Be paid one's whole credit in a token."""
        return self._transact("withdraw", checked_address(token))[0]

    # Views.

    def campaign(self, campaign: int) -> CampaignState:
        """Return a campaign's state; phase NONE and zeros if there is no such campaign."""
        ((scientist, terms, phase, *numbers),) = self._view("campaign", campaign)
        names = ("version", "epoch", "start_ppm", "best_ppm", "gradients", "pending", "batches")
        return CampaignState(
            id=campaign,
            data_scientist=scientist,
            terms=Terms.decoded(terms),
            phase=Phase(phase),
            **dict(zip((*names, "unspent", "paid"), numbers, strict=True)),
        )

    def gradient(self, campaign: int, gradient: int) -> GradientState:
        """Return one gradient's state; status NONE if there is no such gradient."""
        miner, version, status = self._view("gradient", campaign, gradient)
        return GradientState(miner, version, GradientStatus(status))

    def credit(self, token: str, account: str) -> int:
        """Return what `withdraw(token)` would pay to an account."""
        return self._number("credit", checked_address(token), checked_address(account))

    def escrow(self, token: str) -> int:
        """Return all that the contract owes in a token."""
        return self._number("escrow", checked_address(token))

    def campaign_count(self) -> int:
        """Return how many campaigns there were ever; they are numbered from 1."""
        return self._number("campaign_count")

    def campaign_of(self, data_scientist: str, nonce: bytes) -> int:
        """Return the campaign launched with a nonce, 0 if none."""
        return self._number("campaign_of", checked_address(data_scientist), checked_digest(nonce))

    def balance(self, account: str, token: str = ETH) -> int:
        """Return what an account holds in a token (outside of Sonar)."""
        if token == ETH:
            return self._rpc.quantity("eth_getBalance", checked_address(account), "latest")
        (balance,) = self._ask(_erc20.BALANCE_OF, token, checked_address(account))
        return int(balance)

    def currency(self, token: str = ETH) -> Currency:
        """Return a token's unit by its own `symbol` and `decimals`, as far as they are sane."""
        if token != ETH and token not in self._currencies:
            described: list[object] = []
            for function in (_erc20.SYMBOL, _erc20.DECIMALS):
                try:
                    described.extend(self._ask(function, token))
                except (Reverted, RpcRefused, UndecodableAnswer):
                    described.append(None)  # EIP-20 leaves both to the token
            self._currencies[token] = Currency.described(token, *described)
        return self._currencies.get(token, ETHER)

    # The chain.

    def block_number(self) -> int:
        """Return the number of the newest block."""
        return self._rpc.quantity("eth_blockNumber")

    def block_hash(self, number: int) -> str | None:
        """Return the hash of the canonical block of that number, None if there is none yet."""
        block = self._rpc.block(number)
        return block.hash if block else None

    def head(self) -> tuple[int, str]:
        """Return number and hash of the newest block."""
        block = self._rpc.newest()
        return block.number, block.hash

    def now(self) -> int:
        """Return the chain's time: deadlines are measured by it, not by our clock.

        It is the pending block's timestamp: on a quiet devnet the newest block may be hours old.
        """
        try:
            pending = self._rpc.call("eth_getBlockByNumber", "pending", False)
        except RpcRefused:
            pending = None
        if pending is None:
            return self._rpc.newest().timestamp
        return read_timestamp(pending)

    def events(
        self, from_block: int, to_block: int | None = None, campaign: int | None = None
    ) -> list[SonarEvent]:
        """Return the events of blocks `from_block` to `to_block` (the newest), in order.

        Ranges that the node finds too large are asked in parts.
        """
        last = self.block_number() if to_block is None else to_block
        topics = [None, f"0x{campaign:064x}"] if campaign is not None else []
        logs = fetch_logs(self._rpc, self.address, topics, from_block, last)
        events = [event for log in logs if (event := decode_log(log, self._timestamp))]
        if campaign is None:
            return events
        return [event for event in events if isinstance(event, CampaignEvent)]

    def deployment_block(self) -> int:
        """Return the block in which the contract was deployed, 0 if the node cannot say.

        Found by bisection: code is there from that block on. Needs a node that keeps old state.
        """
        low, high = 0, self.block_number()
        while low < high:
            middle = (low + high) // 2
            try:
                code = self._rpc.data("eth_getCode", self.address, hex(middle))
            except RpcRefused:
                return 0
            low, high = (low, middle) if code else (middle + 1, high)
        return low

    # Inside.

    def _state(self, campaign: int) -> CampaignState:
        state = self.campaign(campaign)
        if state.phase == Phase.NONE:
            raise UnknownCampaign(campaign, self.campaign_count())
        return state

    def _signer(self) -> Wallet:
        if self.wallet is None:
            raise NoWallet("this needs a wallet: connect with wallet=Wallet.from_keystore(...)")
        return self.wallet

    def _transact(
        self, name: str, *arguments: object, value: int = 0
    ) -> tuple[Receipt, list[SonarEvent]]:
        self._signer()
        assert self._sender is not None
        data = sonar_abi().functions[name].encode(*arguments)
        receipt, logs = self._sender.send(Call(self.address, data, value))
        ours = [log for log in logs if str(log.get("address")).lower() == self.address.lower()]
        events = [decode_log(log, self._timestamp) for log in ours]
        return receipt, [event for event in events if event is not None]

    def _provide(self, token: str, amount: int) -> int:
        """See that the contract can take `amount`; return the ETH to send along."""
        if token == ETH:
            return amount
        if amount:
            self._approve(checked_address(token), amount)
        return 0

    def _approve(self, token: str, amount: int) -> None:
        owner = self._signer().address
        assert self._sender is not None
        have = self.balance(owner, token)
        if have < amount:
            raise NotEnoughFunds(amount, have, owner, token)
        (allowed,) = self._ask(_erc20.ALLOWANCE, token, owner, self.address)
        if allowed >= amount:
            return
        # Some tokens (USDT) change an allowance only from or to zero.
        for step in (0, amount) if allowed else (amount,):
            self._sender.send(Call(token, _erc20.APPROVE.encode(self.address, step)))

    def _number(self, name: str, *arguments: object) -> int:
        (number,) = self._view(name, *arguments)
        return int(number)

    def _view(self, name: str, *arguments: object) -> tuple[Any, ...]:
        return self._ask(sonar_abi().functions[name], self.address, *arguments)

    def _ask(self, function: Function, to: str, *arguments: object) -> tuple[Any, ...]:
        request = {"to": to, "data": "0x" + function.encode(*arguments).hex()}
        try:
            answer = self._rpc.data("eth_call", request, "latest")
        except RpcRefused as refusal:
            raise as_revert(refusal) or refusal from refusal
        return function.decode(answer)

    def _timestamp(self, block_hash: str) -> int:
        with self._clock_lock:
            if block_hash in self._clock:
                return self._clock[block_hash]
        block = self._rpc.block(block_hash)
        if block is None:
            raise ChainError(f"block {block_hash} is no longer on the chain (a reorganisation)")
        with self._clock_lock:
            self._clock[block_hash] = block.timestamp
            if len(self._clock) > _CLOCK_ENTRIES:
                self._clock.popitem(last=False)
            return self._clock[block_hash]


def read_chain_id(rpc: Rpc, wallet: Wallet | None, expected: int | None) -> int:
    """Return the node's chain id.

    Raises:
        WrongChain: if another one was expected.
        WalletError: if the wallet is a devnet account and the chain is no devnet.
    """
    found = rpc.quantity("eth_chainId")
    if expected is not None and found != expected:
        raise WrongChain(expected, found, rpc.url)
    if wallet is not None and wallet.devnet and found not in DEVNET_CHAINS:
        raise WalletError(
            f"{wallet.address} is a devnet account whose key everybody knows; {redact_url(rpc.url)}"
            f" serves chain {found}: use a keystore of your own"
        )
    return found


def choose_poll_s(rpc: Rpc, chain_id: int) -> float:
    """Choose how often to look for receipts: a tenth of the chain's block time."""
    if chain_id in DEVNET_CHAINS:
        return 0.05
    latest = rpc.newest()
    span = min(20, latest.number)
    earlier = rpc.block(latest.number - span) if span else None
    if earlier is None:
        return 0.5
    block_s = (latest.timestamp - earlier.timestamp) / span
    return min(2.0, max(0.1, block_s / 10))


def _check_code(rpc: Rpc, address: str, chain_id: int) -> None:
    code = rpc.data("eth_getCode", address, "latest")
    if not code:
        raise NoContract(address, chain_id)
    if code != load_artifact().deployed_bytecode:
        raise WrongContract(address, chain_id)


def _only(events: Sequence[SonarEvent], kind: type[E]) -> E:
    for event in events:
        if isinstance(event, kind):
            return event
    raise ChainError(
        f"the transaction succeeded and its receipt shows no {kind.__name__}: "
        "the node's answer cannot be trusted"
    )
