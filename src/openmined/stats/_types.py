"""Column types that mean the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Numeric, String
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

WEI_DIGITS = 78
"""Decimal digits of the largest uint256."""


def encode_wei(amount: int) -> str:
    """Write an amount so that text order is numeric order: two digits of length, then the digits.

    >>> encode_wei(0), encode_wei(25), encode_wei(10**18)[:4]
    ('010', '0225', '1910')
    """
    digits = str(amount)
    if amount < 0 or len(digits) > WEI_DIGITS:
        raise ValueError(f"{amount} is no amount of at most {WEI_DIGITS} digits")
    return f"{len(digits):02d}{digits}"


def decode_wei(text: str) -> int:
    """Inverse of `encode_wei`."""
    return int(text[2:])


class Wei(TypeDecorator[int]):
    """An exact amount up to uint256: NUMERIC in PostgreSQL, order-preserving text in SQLite.

    SQLite has no integers beyond 64 bits; comparing and sorting work in both, sums are made in
    Python.
    """

    impl = String(WEI_DIGITS + 2)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the database's own type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(Numeric(WEI_DIGITS, 0))
        return dialect.type_descriptor(String(WEI_DIGITS + 2))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        """Python to database."""
        if value is None or dialect.name == "postgresql":
            return value
        return encode_wei(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        """Database to Python."""
        if value is None:
            return None
        return int(value) if dialect.name == "postgresql" else decode_wei(value)


def ascii_text(length: int) -> String:
    """Text of hexadecimal digits, words or ids, compared byte by byte in either database."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
