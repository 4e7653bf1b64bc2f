"""Amounts in a token's own unit, as far as the token can be believed."""

import pytest

from openmined.protocol import UnitError
from openmined.sonar import ETHER, Currency

TOKEN = "0x" + "12" * 20


@pytest.mark.parametrize("text", ["0", "1", "0.25", "0.000001", "3402823669209384634633"])
def test_what_is_written_is_read_again(text: str) -> None:
    currency = Currency.described(TOKEN, "USDC", 6)
    assert currency.write(currency.parse(text)) == f"{text} USDC"


@pytest.mark.parametrize("text", ["-1", "0.0000001", "NaN", "Infinity", "1e33", "one", "", "0x10"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(UnitError):
        Currency.described(TOKEN, "USDC", 6).parse(text)


def test_ether_has_18_decimals() -> None:
    assert ETHER.parse("0.1") == 10**17
    assert ETHER.write(10**17) == "0.1 ETH"


@pytest.mark.parametrize(
    "symbol", ["ETH", "eth", "Wei", "", "A" * 13, "\x1b[2J", "\u202eHTE", None, 5]
)
def test_a_symbol_that_misleads_is_not_repeated(symbol: object) -> None:
    currency = Currency.described(TOKEN, symbol, 6)
    assert currency.write(2_500_000) == f"2.5 of token {TOKEN}"


@pytest.mark.parametrize("decimals", [None, -1, 37, 255, "6"])
def test_absurd_decimals_leave_whole_units(decimals: object) -> None:
    currency = Currency.described(TOKEN, "USDC", decimals)
    assert currency.write(12) == "12 units"
    assert currency.parse("12") == 12
    with pytest.raises(UnitError):
        currency.parse("0.5")
