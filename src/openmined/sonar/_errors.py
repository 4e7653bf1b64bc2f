"""Everything that PySonar raises on purpose.

    SonarError                      an OpenMinedError
    ├── WalletError
    │   ├── KeystoreError       a keystore that is missing, readable by others, or damaged
    │   ├── WrongPassphrase
    │   └── NoWallet            a transaction was asked of a client that can only read
    ├── NetworkError
    │   ├── UnknownNetwork      no network of that name in the networks file
    │   └── NetworksFileError   the file cannot be read
    ├── ChainError
    │   ├── RpcUnreachable      nothing, or nonsense, answers at the RPC address
    │   ├── RpcRefused          the node answered with an error
    │   ├── UndecodableAnswer   the node's answer makes no sense
    │   ├── WrongChain          another chain id than expected
    │   ├── NoContract          no code at the address
    │   ├── WrongContract       other code than Sonar's
    │   └── ChainRestarted      the chain is no longer the one a transaction was sent to
    ├── TransactionError
    │   ├── NotEnoughFunds
    │   ├── FeeAboveCap
    │   ├── Reverted            the contract refused; `reason` is its own word
    │   ├── TransactionLost     another transaction took its nonce: it will never be mined
    │   └── TransactionPending  not mined by the deadline; it may still be
    └── CampaignError
        ├── UnknownCampaign
        ├── LaunchRefused       what was asked for cannot be a campaign
        ├── NotDelivered        there is no result (yet)
        └── DeliveryRefused     the delivered model is not what Capsule owed

Each text says what failed, with which value, and what to do.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from openmined.protocol import OpenMinedError, format_wei


class SonarError(OpenMinedError):
    """Something between a client and the Sonar contract failed."""


class WalletError(SonarError):
    """A key cannot be had or used."""


class KeystoreError(WalletError):
    """A keystore file is missing, readable by others, or no Web3 Secret Storage version 3."""


class WrongPassphrase(WalletError):
    """The passphrase does not open the keystore."""


class NoWallet(WalletError):
    """A transaction needs a wallet, and this client was connected without one."""


class NetworkError(SonarError):
    """The description of a network is missing or wrong."""


class UnknownNetwork(NetworkError):
    """No network of that name is known."""


class NetworksFileError(NetworkError):
    """The networks file cannot be read or written."""


class ChainError(SonarError):
    """The chain cannot be reached, or is not the one that was meant."""


class RpcUnreachable(ChainError):
    """Nothing, or nothing sensible, answers at the RPC address."""

    def __init__(self, url: str, cause: str) -> None:
        self.url = redact_url(url)
        super().__init__(
            f"no Ethereum node answers at {self.url} ({cause}): "
            "check that it runs and that the rpc_url of the network is right"
        )


class RpcRefused(ChainError):
    """The node answered a request with an error that is not a revert.

    Attributes:
        method: the JSON-RPC method.
        code: the JSON-RPC error code.
        message: the node's own text, shortened.
        data: bytes that came with it, such as an encoded revert reason.
    """

    def __init__(self, method: str, code: int, message: str, data: bytes = b"") -> None:
        self.method = method
        self.code = code
        self.message = shorten(message)
        self.data = data
        super().__init__(f"the node refused {method} with code {code}: {self.message}")


class UndecodableAnswer(ChainError):
    """The node's answer is not what the protocol or the contract's ABI says it must be."""


class WrongChain(ChainError):
    """The node serves another chain than expected."""

    def __init__(self, expected: int, found: int, url: str) -> None:
        self.expected = expected
        self.found = found
        super().__init__(
            f"{redact_url(url)} serves chain {found}, chain {expected} was expected: "
            "correct rpc_url or chain_id of the network"
        )


class NoContract(ChainError):
    """There is no code at the address."""

    def __init__(self, address: str, chain_id: int) -> None:
        super().__init__(
            f"there is no contract at {address} on chain {chain_id}: check the address, or deploy "
            "one with `openmined sonar deploy` (a devnet that was restarted has lost its contract)"
        )


class WrongContract(ChainError):
    """There is code at the address, and it is not Sonar's."""

    def __init__(self, address: str, chain_id: int) -> None:
        super().__init__(
            f"the code at {address} on chain {chain_id} is not the Sonar contract of this version "
            "of openmined: check the address, or use the version that deployed it. "
            "Send no money to it"
        )


class ChainRestarted(ChainError):
    """The chain was replaced by another one with the same id."""

    def __init__(self, chain_id: int) -> None:
        super().__init__(
            f"chain {chain_id} was restarted while a transaction was on its way: what was sent "
            "before is gone with the old chain. Deploy and launch again"
        )


class TransactionError(SonarError):
    """A transaction cannot be sent, or did not succeed."""


class NotEnoughFunds(TransactionError):
    """The account cannot pay.

    Attributes:
        need: the amount needed, fees included, in the token's smallest unit.
        have: the balance.
        address: the account.
        token: the ERC-20 token, or None for ETH.
    """

    def __init__(self, need: int, have: int, address: str, token: str | None = None) -> None:
        self.need = need
        self.have = have
        self.address = address
        self.token = token
        if token is None:
            amounts = f"{format_wei(need)} ({need} wei), {format_wei(have)} ({have} wei)"
        else:
            amounts = f"{need} units of token {token}, {have}"
        super().__init__(
            f"{address} needs {amounts} are there: "
            f"send it at least {need - have} more and run again"
        )


class FeeAboveCap(TransactionError):
    """The transaction could cost more than the caller allows; nothing was signed."""

    def __init__(self, fee_wei: int, cap_wei: int, gas: int, price_wei: int) -> None:
        self.fee_wei = fee_wei
        self.cap_wei = cap_wei
        super().__init__(
            f"the transaction could cost {format_wei(fee_wei)} ({gas} gas at up to {price_wei} wei)"
            f", the cap is {format_wei(cap_wei)}: wait until gas is cheaper, or raise max_fee_wei"
        )


class Reverted(TransactionError):
    """The contract refused the call; nothing was changed and nothing but gas was spent.

    Attributes:
        reason: the contract's own text, such as `Sonar: past the deadline`, or empty.
        transaction: its hash if it was mined and failed there, else None.
    """

    def __init__(self, reason: str, transaction: str | None = None) -> None:
        self.reason = shorten(reason)
        self.transaction = transaction
        advice = ADVICE.get(self.reason, "")
        where = f" (transaction {transaction})" if transaction else ""
        text = self.reason or "the call reverted without a reason"
        super().__init__(f"{text}{where}" + (f": {advice}" if advice else ""))


class TransactionLost(TransactionError):
    """The transaction will never be mined: another one of the same account took its nonce."""

    def __init__(self, transaction: str, nonce: int, cause: str) -> None:
        self.transaction = transaction
        self.nonce = nonce
        super().__init__(
            f"transaction {transaction} (nonce {nonce}) is lost: {cause}. "
            "Look at the chain for what did happen, then run again"
        )


class TransactionPending(TransactionError):
    """The transaction was sent and not mined by the deadline. It may still be mined."""

    def __init__(self, transaction: str, nonce: int, waited_s: float) -> None:
        self.transaction = transaction
        self.nonce = nonce
        super().__init__(
            f"transaction {transaction} (nonce {nonce}) was not mined within {waited_s:.0f} s; it "
            "may still be. Run again later: what it did will be found on the chain, and a fee "
            "that has become too low will be raised"
        )


class CampaignError(SonarError):
    """A campaign cannot be launched, found or completed."""


class UnknownCampaign(CampaignError):
    """There is no campaign of that number."""

    def __init__(self, campaign: int, count: int) -> None:
        known = f"there are 1 to {count}" if count else "there is none yet"
        super().__init__(f"no campaign {campaign} on this Sonar: {known}")


class LaunchRefused(CampaignError):
    """What was asked for cannot become a campaign."""


class NotDelivered(CampaignError):
    """There is no result (yet)."""


class DeliveryRefused(CampaignError):
    """The delivered model cannot be opened, or is not signed by the campaign's Capsule."""


ADVICE = {
    "Sonar: nonce used": "this launch is already a campaign; find it with campaign_of(...)",
    "Sonar: no capsule": "name the Capsule's address in the terms",
    "Sonar: capsule is the payer": "name a third party as Capsule, not your own account",
    "Sonar: no bounty": "put a bounty into the terms",
    "Sonar: fee not below bounty": "lower Capsule's fee or raise the bounty",
    "Sonar: target above 100 %": "accuracies are parts per million, at most 1_000_000",
    "Sonar: target not above start": "ask for more accuracy than the initial model has",
    "Sonar: no improvement step": "min_improvement_ppm is at least 1",
    "Sonar: deadline in the past": "choose a later deadline, and check this machine's clock",
    "Sonar: deadline too far": "deadlines are unix seconds, not milliseconds",
    "Sonar: no grace": "give Capsule at least one second after the deadline",
    "Sonar: grace too long": "the contract allows 30 days at most",
    "Sonar: unknown campaign": "check the campaign's number and the network",
    "Sonar: campaign has ended": "nothing more can be paid in or submitted; withdraw what is yours",
    "Sonar: past the deadline": "Capsule can still score and deliver until the grace is over",
    "Sonar: target reached": "Capsule will deliver the model now",
    "Sonar: not the data scientist": "use the wallet that launched the campaign",
    "Sonar: not the capsule": "use the wallet of the Capsule that the campaign names",
    "Sonar: not awaiting the capsule": "the campaign is already open or over",
    "Sonar: start not below target": "the initial model has the target accuracy already: reject",
    "Sonar: start above the claim": "the measured start does not fit the claim: reject",
    "Sonar: start below the claim": "the measured start does not fit the claim: reject",
    "Sonar: not open": "Capsule has not opened the campaign yet, or it is over",
    "Sonar: version not published": "train on a version that Capsule has published",
    "Sonar: no gradients left": "the campaign has had as many gradients as its terms allow",
    "Sonar: gradient not pending": "it was scored already: read the chain before scoring",
    "Sonar: another batch is due": "the chain stands elsewhere: read it, then report what is due",
    "Sonar: another version is current": "the chain stands elsewhere: read it, then decide anew",
    "Sonar: not the last batch": "a report came or was lost since: read the chain, then deliver",
    "Sonar: wrong sum of shares": "shares sum to 1_000_000 when the batch counts, to 0 when not",
    "Sonar: grace is over": "anyone can expire the campaign now",
    "Sonar: not finished": "deliver at the target, at the deadline, or when no gradient can come",
    "Sonar: grace not over": "Capsule still has time; expire the campaign after deadline + grace",
    "Sonar: campaign has not ended": "pending gradients may still be scored",
    "Sonar: no bond to reclaim": "none of these gradients is pending",
    "Sonar: no credit": "there is nothing to withdraw in this token",
    "Sonar: wrong amount of ETH": "send exactly the bounty, bond or top-up of the call",
    "Sonar: ETH with a token": "this campaign is in an ERC-20 token: send no ETH",
    "Sonar: token took another amount": "tokens that take a fee on transfer cannot be used",
    "Sonar: token gave another amount": "the token does not pay out what it owes",
    "Sonar: token call failed": "the token refused the transfer: check balance and allowance",
    "Sonar: token said no": "the token refused the transfer: check balance and allowance",
    "Sonar: token has no code": "there is no token at that address on this chain",
    "Sonar: account refused ETH": "the account is a contract that takes no ETH",
}
"""What to do about each refusal of the contract that a person can meet."""


def shorten(text: str, limit: int = 300) -> str:
    """Cut a foreign text to a length that fits into a message, control characters replaced."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def redact_url(url: str) -> str:
    """Return the address without what may be a secret: user, query, long parts of the path."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that is no URL)"
    path = re.sub(r"[^/]{16,}", "...", parts.path)
    return f"{parts.scheme}://{host}{port}{path}".removesuffix("/")
