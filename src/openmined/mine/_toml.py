"""Write TOML: the standard library reads it only, and mine.toml needs little of it.

Strings, integers, floats, booleans, arrays of these, and tables of tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"^[A-Za-z0-9_-]+$")


def dump_toml(value: Mapping[str, Any], heads: Mapping[str, str] | None = None) -> str:
    """Write a mapping as TOML; `heads` are comments by the name of the table they stand above.

    `None` is left out, as TOML has no such value.
    """
    lines: list[str] = []
    _table(value, (), lines, heads or {})
    return "\n".join(lines).strip() + "\n"


def _table(
    value: Mapping[str, Any], path: tuple[str, ...], lines: list[str], heads: Mapping[str, str]
) -> None:
    plain = {k: v for k, v in value.items() if v is not None and not isinstance(v, Mapping)}
    tables = {k: v for k, v in value.items() if isinstance(v, Mapping)}
    comment = heads.get(".".join(path))
    if path and (plain or comment or not tables):
        lines += [""] + [f"# {line}".rstrip() for line in (comment or "").splitlines()]
        lines.append(f"[{'.'.join(_key(part) for part in path)}]")
    elif not path and comment:
        lines += [f"# {line}".rstrip() for line in comment.splitlines()]
    lines += [f"{_key(key)} = {_scalar(item)}" for key, item in plain.items()]
    for key, table in tables.items():
        _table(table, (*path, key), lines, heads)


def _key(name: str) -> str:
    return name if _BARE.match(name) else _string(name)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no place in mine.toml")


def _string(text: str) -> str:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
