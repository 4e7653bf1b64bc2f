"""What amounts are counted in: ETH, or an ERC-20 token as it describes itself."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Self

from openmined.protocol import MAX_WEI, UnitError, format_wei
from openmined.sonar._types import ETH

_MOST_DECIMALS = 36
_LONGEST_SYMBOL = 12


@dataclass(frozen=True, slots=True)
class Currency:
    """A token with its unit: 10**decimals smallest units are one of `symbol`."""

    token: str
    symbol: str
    decimals: int

    @classmethod
    def undescribed(cls, token: str) -> Self:
        """Return ETH, or a token of which nothing is known: counted in its smallest units."""
        return cls(ETH, "ETH", 18) if token == ETH else cls(token, "units", 0)

    @classmethod
    def described(cls, token: str, symbol: object, decimals: object) -> Self:
        """Return a token by its own words, as far as they can be believed.

        A symbol that is long, unprintable or claims to be ETH is replaced by the address; absurd
        decimals make the amounts whole units.
        """
        if not isinstance(decimals, int) or not 0 <= decimals <= _MOST_DECIMALS:
            return cls.undescribed(token)
        if not _is_plain(symbol) or str(symbol).upper() in {"ETH", "WEI", "UNITS"}:
            symbol = f"of token {token}"
        return cls(token, str(symbol), decimals)

    def write(self, amount: int) -> str:
        """Write an amount for people: 2500000 -> `2.5 USDC`."""
        return format_wei(amount, self.symbol, self.decimals)

    def parse(self, text: str) -> int:
        """Read an amount of the unit, like `2.5`, exactly.

        Raises:
            UnitError: if it is no number, negative, too large, or finer than the smallest unit.
        """
        try:
            amount = Decimal(text).scaleb(self.decimals)
        except InvalidOperation as error:
            raise UnitError(f"{text!r} is no amount; write it like 0.25") from error
        if not amount.is_finite() or not 0 <= amount <= MAX_WEI or amount % 1:
            raise UnitError(
                f"{text} {self.symbol} is negative, too large, or has more than "
                f"{self.decimals} decimals"
            )
        return int(amount)


ETHER: Final = Currency.undescribed(ETH)
"""ETH, the token of a campaign that names none."""


def _is_plain(symbol: object) -> bool:
    return (
        isinstance(symbol, str)
        and 0 < len(symbol) <= _LONGEST_SYMBOL
        and symbol.isascii()
        and symbol.isprintable()
        and not symbol.isspace()
    )
