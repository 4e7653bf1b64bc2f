"""Units: wei for money, parts per million (ppm) for accuracy and shares."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from openmined.protocol._errors import UnitError

PPM = 1_000_000
"""One whole, in parts per million."""

ETHER_WEI = 10**18
MAX_WEI = 2**128 - 1
"""The largest amount a campaign holds: the contract keeps amounts in 128 bits."""


def accuracy_to_ppm(accuracy: float, step_ppm: int = 1) -> int:
    """Round an accuracy in [-inf, 1] to whole steps of ppm; negative R2 counts as zero.

    Rounding to `step_ppm` is what Capsule releases of a score (DESIGN 6.6).

    Raises:
        UnitError: if `accuracy` is not finite or above one, or the step is not positive.
    """
    if not (accuracy == accuracy and accuracy <= 1.0):
        raise UnitError(f"accuracy {accuracy!r} is not a number of at most 1; check the metric")
    if step_ppm < 1:
        raise UnitError(f"a scoring step of {step_ppm} ppm is not positive")
    exact = max(Decimal(0), Decimal(accuracy)) * PPM / step_ppm
    return min(PPM, int(exact.to_integral_value(ROUND_HALF_EVEN)) * step_ppm)


def ppm_to_percent(ppm: int, digits: int = 1) -> str:
    """Write ppm as a percentage for people: 971_300 -> `97.1 %`."""
    return f"{ppm / 10_000:.{digits}f} %"


def ether_to_wei(ether: str | int | Decimal) -> int:
    """Convert an amount in ether to wei exactly; binary floats are refused.

    Raises:
        UnitError: if the amount is no number, is negative or finer than one wei.
    """
    if isinstance(ether, float):
        raise UnitError(f"give {ether!r} ether as text: a binary float is not exact")
    try:
        wei = Decimal(ether) * ETHER_WEI
    except (InvalidOperation, TypeError, ValueError) as error:
        raise UnitError(f"{ether!r} is not an amount of ether; write it like 0.25") from error
    if not wei.is_finite() or wei != wei.to_integral_value() or not 0 <= wei <= MAX_WEI:
        raise UnitError(f"{ether} ether is negative, too large, or finer than one wei")
    return int(wei)


def format_wei(wei: int, symbol: str = "ETH", decimals: int = 18, digits: int = 6) -> str:
    """Write an amount for people, in the token's unit: 10**17 -> `0.1 ETH`."""
    value = Decimal(wei).scaleb(-decimals)
    rounded = round(value, digits)
    if value != 0 and rounded == 0:
        return f"{wei} wei" if decimals == 18 else f"{wei} units"
    text = f"{rounded:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text or '0'} {symbol}"


def mines_part_wei(bounty_wei: int, fee_wei: int) -> int:
    """Return what mines can earn of a bounty: Capsule's fee is set aside first."""
    if not 0 <= fee_wei < bounty_wei:
        raise UnitError(f"a fee of {fee_wei} wei does not fit into a bounty of {bounty_wei} wei")
    return bounty_wei - fee_wei


def batch_payout_wei(
    *,
    bounty_wei: int,
    fee_wei: int,
    best_ppm: int,
    accuracy_ppm: int,
    target_ppm: int,
    min_improvement_ppm: int,
) -> int:
    """Compute what one scored batch earns in all.

    payout = (min(accuracy, target) - best) / target x (bounty - fee), rounded down; zero when the
    gain is below the Ladder step, unless it reaches the target. This is the contract's own rule,
    written a second time so that anybody can check a payment without the contract.
    """
    gain = accuracy_ppm - best_ppm
    reaches = accuracy_ppm >= target_ppm and gain > 0
    if gain < min_improvement_ppm and not reaches:
        return 0
    counted = min(accuracy_ppm, target_ppm) - best_ppm
    return counted * mines_part_wei(bounty_wei, fee_wei) // target_ppm


def share_payout_wei(total_wei: int, share_ppm: int) -> int:
    """Compute one gradient's part of a batch: total x share, rounded down."""
    return total_wei * share_ppm // PPM


def _parse_wei(value: object) -> object:
    # JSON numbers lose precision above 2**53, so manifests carry wei as decimal text.
    if isinstance(value, str):
        if not value.isascii() or not value.isdigit():
            raise ValueError(f"{value!r} is not a whole number of wei")
        return int(value)
    return value


Wei = Annotated[
    int,
    BeforeValidator(_parse_wei),
    Field(ge=0, le=MAX_WEI),
    PlainSerializer(str, return_type=str, when_used="json"),
]
"""An amount in the token's smallest unit; decimal text in JSON."""

Ppm = Annotated[int, Field(ge=0, le=PPM)]
"""An accuracy or a share in parts per million."""
