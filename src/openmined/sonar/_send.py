"""Sends transactions of one account and sees each through to its receipt.

What can go wrong on the way, and what is done about it:
- the call would revert: it is simulated first, and nothing is signed;
- the fee would exceed the cap: nothing is signed;
- two threads or processes send with one key: a file lock per account and chain covers the time
  from reading the nonce to the node's acceptance;
- the answer to a send is lost: the same bytes are sent again, and `already known` is success;
- the transaction is dropped from the pool: the same bytes are sent again;
- the fee has become too low: it is signed again, same nonce, with a higher fee, up to the cap;
- an earlier transaction of the account was reorganised away: the bytes, made for a state that is
  gone, are not sent again, and a typed error follows;
- another transaction took the nonce, or the chain was replaced: a typed error.
The nonce is always taken from the chain, so that nothing remembered can be wrong.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from openmined.sonar._abi import revert_reason
from openmined.sonar._errors import (
    ChainError,
    ChainRestarted,
    FeeAboveCap,
    NotEnoughFunds,
    Reverted,
    RpcRefused,
    TransactionLost,
    TransactionPending,
)
from openmined.sonar._rpc import MinedTransaction, Rpc, read_data, read_quantity
from openmined.sonar._types import Receipt
from openmined.sonar._wallet import Wallet

GAS_MARGIN = 1.25
"""Gas limit over the estimate: state may change between the two."""

_LOCK_TIMEOUT_S = 120.0
_ATTEMPTS = 8
_GAP_S = 3.0
"""How long an earlier transaction of the account may be missing before this one is given up."""
_KNOWN = ("already known", "known transaction", "already imported", "alreadyexists")
_NONCE_TAKEN = ("nonce too low", "nonce is too low", "invalid nonce", "underpriced", "nonce too")


@dataclass(frozen=True, slots=True)
class Call:
    """What a transaction does: `to` is empty to deploy."""

    to: str
    data: bytes
    value: int = 0


@dataclass(frozen=True, slots=True)
class Quote:
    """What a transaction may cost at most."""

    gas: int
    max_fee: int
    max_priority_fee: int

    @property
    def fee_wei(self) -> int:
        """Gas limit times the highest price per gas."""
        return self.gas * self.max_fee


@dataclass(frozen=True, slots=True)
class _Sent:
    nonce: int
    quote: Quote
    raw: bytes
    hashes: tuple[str, ...]
    at: float


class Sender:
    """One account on one chain.

    Args:
        rpc: the node.
        chain_id: checked already.
        wallet: who signs.
        max_fee_wei: the most that one transaction may cost in fees.
        timeout_s: how long a transaction is awaited.
        poll_s: pause between two looks for a receipt.
        raise_after_s: after this long unmined, the fee is raised.
        lock_folder: where the lock files of this user's accounts are.
    """

    def __init__(
        self,
        rpc: Rpc,
        chain_id: int,
        wallet: Wallet,
        *,
        max_fee_wei: int,
        timeout_s: float,
        poll_s: float,
        raise_after_s: float,
        lock_folder: Path,
    ) -> None:
        self._rpc = rpc
        self._chain_id = chain_id
        self._wallet = wallet
        self._max_fee_wei = max_fee_wei
        self._timeout_s = timeout_s
        self._poll_s = poll_s
        self._raise_after_s = raise_after_s
        self._lock_folder = lock_folder
        self._genesis: str | None = None
        self._simulate_on = "pending"

    def send(self, call: Call) -> tuple[Receipt, tuple[dict[str, Any], ...]]:
        """Simulate, price, sign, send and await; return the receipt and its logs.

        Raises:
            Reverted, NotEnoughFunds, FeeAboveCap: nothing was sent (or it was mined and failed).
            TransactionLost, TransactionPending, ChainRestarted: see there.
        """
        self._check_funds(call.value)
        self.simulate(call)
        quote = self.quote(call)
        return self._await(call, self._submit(call, quote))

    def simulate(self, call: Call) -> bytes:
        """Run the call on the pending state, change nothing, and return its answer.

        Raises:
            Reverted: with the contract's reason.
        """
        return read_data(self._dry("eth_call", call), "eth_call")

    def quote(self, call: Call) -> Quote:
        """Say what the call may cost.

        Raises:
            FeeAboveCap: if that is above the cap.
            NotEnoughFunds: if the account cannot pay it.
        """
        gas = int(read_quantity(self._dry("eth_estimateGas", call), "gas estimate") * GAS_MARGIN)
        quote = Quote(gas, *self._prices())
        if quote.fee_wei > self._max_fee_wei:
            raise FeeAboveCap(quote.fee_wei, self._max_fee_wei, gas, quote.max_fee)
        self._check_funds(call.value + quote.fee_wei)
        return quote

    def _dry(self, method: str, call: Call) -> object:
        request = {"from": self._wallet.address, "data": "0x" + call.data.hex()}
        request["value"] = hex(call.value)
        if call.to:
            request["to"] = call.to
        try:
            return self._rpc.call(method, request, self._simulate_on)
        except RpcRefused as refusal:
            reverted = as_revert(refusal)
            if reverted is None and self._simulate_on in refusal.message.lower():
                # Some nodes keep no pending state (geth without a miner says so since 1.14).
                self._simulate_on = "latest"
                return self._dry(method, call)
            raise reverted or refusal from refusal

    def _prices(self) -> tuple[int, int]:
        base = self._rpc.newest().base_fee
        if base is None:
            raise ChainError(
                f"chain {self._chain_id} has no base fee: a chain with EIP-1559 is needed"
            )
        try:
            tip = self._rpc.quantity("eth_maxPriorityFeePerGas")
        except RpcRefused:
            tip = 10**9
        return 2 * base + tip, tip

    def _check_funds(self, need: int) -> None:
        have = self._rpc.quantity("eth_getBalance", self._wallet.address, "latest")
        if have < need:
            raise NotEnoughFunds(need, have, self._wallet.address)

    def _submit(self, call: Call, quote: Quote) -> _Sent:
        with account_lock(self._lock_folder, self._chain_id, self._wallet.address):
            if self._genesis is None:
                self._genesis = self._genesis_hash()
            taken: set[int] = set()
            for attempt in range(_ATTEMPTS):
                nonce = self._next_nonce(taken)
                raw, hash_ = self._sign(call, quote, nonce)
                if self._broadcast(raw, hash_):
                    return _Sent(nonce, quote, raw, (hash_,), time.monotonic())
                # The node's pending count lags behind its pool: after a few looks, go past it.
                if attempt >= _ATTEMPTS // 2:
                    taken.add(nonce)
        raise ChainError(
            f"the node refuses every nonce of {self._wallet.address}: its view of the account "
            "is inconsistent. Use another node, or wait until it has caught up"
        )

    def _next_nonce(self, taken: set[int]) -> int:
        nonce = self._count("pending")
        while nonce in taken:
            nonce += 1
        return nonce

    def _count(self, block: str) -> int:
        return self._rpc.quantity("eth_getTransactionCount", self._wallet.address, block)

    def _sign(self, call: Call, quote: Quote, nonce: int) -> tuple[bytes, str]:
        return self._wallet.sign_transaction(
            {
                "chain_id": self._chain_id,
                "nonce": nonce,
                "max_priority_fee": quote.max_priority_fee,
                "max_fee": quote.max_fee,
                "gas": quote.gas,
                "to": bytes.fromhex(call.to[2:]),
                "value": call.value,
                "data": call.data,
            }
        )

    def _broadcast(self, raw: bytes, hash_: str) -> bool:
        """Hand the bytes to the node; False if another transaction has their nonce."""
        try:
            self._rpc.call("eth_sendRawTransaction", "0x" + raw.hex())
        except RpcRefused as refusal:
            text = refusal.message.lower()
            if any(sign in text for sign in _KNOWN):
                return True
            if any(sign in text for sign in _NONCE_TAKEN):
                # When the answer to a first attempt was lost, it may be taken by these very bytes.
                return self._is_known(hash_)
            raise as_revert(refusal) or refusal from refusal
        return True

    def _is_known(self, hash_: str) -> bool:
        for _ in range(_ATTEMPTS):
            if self._rpc.call("eth_getTransactionByHash", hash_) is not None:
                return True
            time.sleep(self._poll_s)
        return False

    def _await(self, call: Call, sent: _Sent) -> tuple[Receipt, tuple[dict[str, Any], ...]]:
        start = looked = time.monotonic()
        while True:
            found = self._find_receipt(sent)
            if found is not None:
                return self._judge(call, found)
            now = time.monotonic()
            if now - start > self._timeout_s:
                raise TransactionPending(sent.hashes[-1], sent.nonce, now - start)
            if now - looked > max(10 * self._poll_s, 0.5):
                looked = now
                sent = self._look_after(call, sent)
            time.sleep(self._poll_s)

    def _find_receipt(self, sent: _Sent) -> MinedTransaction | None:
        for hash_ in sent.hashes:
            mined = self._rpc.receipt(hash_)
            if mined is not None:
                return mined
        return None

    def _look_after(self, call: Call, sent: _Sent) -> _Sent:
        """See to a transaction that is not mined yet: resend, raise its fee, or give it up."""
        # Never again to a chain without the contract: there its money would be lost.
        if self._genesis_hash() != self._genesis or not self._has_code(call.to):
            raise ChainRestarted(self._chain_id)
        if self._count("latest") > sent.nonce:
            # Its nonce is used up. Its own receipt may only now have become visible.
            if self._find_receipt(sent) is None:
                raise TransactionLost(
                    sent.hashes[-1], sent.nonce, "another transaction of the account was mined"
                )
            return sent
        if self._count("pending") < sent.nonce:
            # Sent again, they would wait in the pool and be mined at some later time.
            if time.monotonic() - sent.at > _GAP_S:
                raise TransactionLost(
                    sent.hashes[-1], sent.nonce, "an earlier one of the account is gone"
                )
            return sent
        if time.monotonic() - sent.at > self._raise_after_s:
            return self._raise_fee(call, sent)
        if self._rpc.call("eth_getTransactionByHash", sent.hashes[-1]) is None:
            self._broadcast(sent.raw, sent.hashes[-1])
        return sent

    def _raise_fee(self, call: Call, sent: _Sent) -> _Sent:
        max_fee, tip = self._prices()
        # Nodes ask for ten percent more on both prices before they replace a transaction.
        quote = replace(
            sent.quote,
            max_fee=max(max_fee, sent.quote.max_fee * 9 // 8 + 1),
            max_priority_fee=max(tip, sent.quote.max_priority_fee * 9 // 8 + 1),
        )
        waiting = replace(sent, at=time.monotonic())
        if quote.fee_wei > self._max_fee_wei:
            self._broadcast(sent.raw, sent.hashes[-1])
            return waiting
        raw, hash_ = self._sign(call, quote, sent.nonce)
        if not self._broadcast(raw, hash_):
            return waiting
        return replace(waiting, quote=quote, raw=raw, hashes=(*sent.hashes, hash_))

    def _judge(
        self, call: Call, found: MinedTransaction
    ) -> tuple[Receipt, tuple[dict[str, Any], ...]]:
        receipt = Receipt(
            transaction=found.transaction,
            block_number=found.block_number,
            block_hash=found.block_hash,
            gas_used=found.gas_used,
            fee_wei=found.gas_used * found.price,
        )
        if found.succeeded:
            return receipt, found.logs
        # It was sound when simulated, and the state changed before it was mined.
        try:
            self.simulate(call)
        except Reverted as reverted:
            raise Reverted(reverted.reason, receipt.transaction) from reverted
        raise Reverted("", receipt.transaction)

    def _has_code(self, address: str) -> bool:
        return not address or bool(self._rpc.data("eth_getCode", address, "latest"))

    def _genesis_hash(self) -> str:
        genesis = self._rpc.block(0)
        return genesis.hash if genesis else ""


@contextlib.contextmanager
def account_lock(folder: Path, chain_id: int, address: str) -> Iterator[None]:
    """Hold the only right, among this user's threads and processes, to choose a nonce.

    The lock is the kernel's and ends with its process, however that ends.

    Raises:
        ChainError: if it cannot be had within two minutes.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{chain_id}-{address.lower()}.lock"
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    with path.open("ab") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ChainError(
                        f"another process has been sending with {address} for two minutes "
                        f"({path} is locked): see what it waits for, or end it"
                    ) from error
                time.sleep(0.005)
        yield


def as_revert(refusal: RpcRefused) -> Reverted | None:
    """Read a node's refusal as the contract's; None if it is something else."""
    reason = revert_reason(refusal.data)
    if reason:
        return Reverted(reason)
    text = refusal.message
    if "revert" not in text.lower() and refusal.code != 3:
        return None
    # Without data the reason stands in the text only: "execution reverted: Sonar: no bounty".
    _, found, rest = text.partition("Sonar: ")
    return Reverted((found + rest).strip(" '\"") if found else "")
