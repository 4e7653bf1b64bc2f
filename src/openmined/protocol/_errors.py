"""The root of every error OpenMined raises on purpose.

    OpenMinedError
    └── ProtocolError
        ├── ManifestError          a manifest or body that cannot be read
        │   └── UnknownFormat      of a kind or version this software does not know
        ├── SchemaMismatch         rows that do not fit a table schema
        └── UnitError              an amount or a share outside its range

Each package hangs its own tree below `OpenMinedError`, so that a program may catch
everything of ours, everything of one package, or one failure.
"""

from __future__ import annotations


class OpenMinedError(Exception):
    """Something failed that we foresaw; the text says what, with which value, and what to do."""


class ProtocolError(OpenMinedError):
    """A shared object is not what the protocol says it must be."""


class ManifestError(ProtocolError):
    """A manifest or a gradient body cannot be read."""


class UnknownFormat(ManifestError):
    """The `format` of a manifest is unknown, or of a version this software cannot read."""


class SchemaMismatch(ProtocolError):
    """Rows, a file or a dataset do not fit a table schema."""


class UnitError(ProtocolError, ValueError):
    """An amount is negative, too large, not whole, or not a number."""
