"""Words for full-text search: the same in either database, and never part of a query's syntax."""

from __future__ import annotations

import re
import unicodedata

MAX_WORD = 64
MAX_WORDS = 1024
MAX_QUERY_WORDS = 8

_WORD = re.compile(r"[^\W_]+")


def words_of(text: str) -> list[str]:
    """Split text into words: lower case, without accents, letters and digits only.

    >>> words_of("Größe: naïve-Bayes'; DROP TABLE")
    ['grosse', 'naive', 'bayes', 'drop', 'table']
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return [word[:MAX_WORD] for word in _WORD.findall(plain)]


def distinct_words(*texts: str) -> list[str]:
    """Return the distinct words of texts in their order, at most `MAX_WORDS`."""
    found = dict.fromkeys(word for text in texts for word in words_of(text))
    return list(found)[:MAX_WORDS]


def next_prefix(word: str) -> str:
    """Return the least text above everything that begins with `word` (in code point order)."""
    return word + "\U0010ffff"
