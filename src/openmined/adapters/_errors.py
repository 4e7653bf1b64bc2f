"""Everything the adapters raise on purpose.

    OpenMinedError
    └── AdapterError
        ├── SourceError          a file, folder or archive that cannot be read
        │   ├── UnsafeSource     it is built to harm: links, paths outside, bombs
        │   └── LimitExceeded    it is larger than the limits allow
        ├── UnknownAdapter       no adapter of that name
        │   └── PluginBroken     it is installed and does not load
        ├── NotAnExport          nothing recognises the source, or several adapters do equally
        ├── MappingError         a mapping file that cannot be read or does not fit the source
        └── UnknownSchema        no published schema of that id

A bad *record* is not an error of this tree: it is a `RowError`, a value among the rows.
"""

from __future__ import annotations

from openmined.protocol import OpenMinedError


class AdapterError(OpenMinedError):
    """An export could not be read as a whole."""


class SourceError(AdapterError):
    """A file, folder or archive cannot be read; the text names it and says why."""


class UnsafeSource(SourceError):
    """The source is built in a way no honest export is; nothing of it was read."""


class LimitExceeded(SourceError):
    """The source is larger than a limit; the text names the limit and both figures."""


class UnknownAdapter(AdapterError):
    """There is no adapter of that name."""


class PluginBroken(UnknownAdapter):
    """A third-party adapter is installed but cannot be loaded."""


class NotAnExport(AdapterError):
    """No adapter recognises the source, or several do and the choice is the owner's."""


class MappingError(AdapterError):
    """A mapping file cannot be read, or it does not fit the source or its schema."""


class UnknownSchema(AdapterError):
    """There is no published schema of that id."""
