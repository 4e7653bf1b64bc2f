"""Data exports to rows of a schema: streaming, in bounded memory, errors as values.

    with open_export("twitter-2026.zip") as export:
        for batch in export.batches(on_error=print):
            ...

See docs/adapters.md for the plug-in interface.
"""

from openmined.adapters._adapter import Adapter, AdapterFactory
from openmined.adapters._batches import arrow_schema, arrow_type, to_record_batches
from openmined.adapters._cast import cast, checked
from openmined.adapters._cli import app
from openmined.adapters._errors import (
    AdapterError,
    LimitExceeded,
    MappingError,
    NotAnExport,
    PluginBroken,
    SourceError,
    UnknownAdapter,
    UnknownSchema,
    UnsafeSource,
)
from openmined.adapters._export import Export, Guess, detect, open_export
from openmined.adapters._hashes import row_hashes
from openmined.adapters._images import read_image
from openmined.adapters._index import RowIndex
from openmined.adapters._json import json_elements, parse_json
from openmined.adapters._limits import Limits
from openmined.adapters._mapping import (
    ColumnMapping,
    ImageSize,
    TableMapping,
    parse_mapping,
    read_mapping,
)
from openmined.adapters._open import open_source
from openmined.adapters._registry import (
    GROUP,
    Adapters,
    BrokenPlugin,
    built_in_adapters,
    load_adapters,
)
from openmined.adapters._rows import Place, Row, RowError, Rows, Value, shown
from openmined.adapters._schemas import published_schema, published_schemas
from openmined.adapters._source import Entry, Refused, Source
from openmined.adapters._text import Line, read_text, split_lines, why_broken

__all__ = [
    "GROUP",
    "Adapter",
    "AdapterError",
    "AdapterFactory",
    "Adapters",
    "BrokenPlugin",
    "ColumnMapping",
    "Entry",
    "Export",
    "Guess",
    "ImageSize",
    "LimitExceeded",
    "Limits",
    "Line",
    "MappingError",
    "NotAnExport",
    "Place",
    "PluginBroken",
    "Refused",
    "Row",
    "RowError",
    "RowIndex",
    "Rows",
    "Source",
    "SourceError",
    "TableMapping",
    "UnknownAdapter",
    "UnknownSchema",
    "UnsafeSource",
    "Value",
    "app",
    "arrow_schema",
    "arrow_type",
    "built_in_adapters",
    "cast",
    "checked",
    "detect",
    "json_elements",
    "load_adapters",
    "open_export",
    "open_source",
    "parse_json",
    "parse_mapping",
    "published_schema",
    "published_schemas",
    "read_image",
    "read_mapping",
    "read_text",
    "row_hashes",
    "shown",
    "split_lines",
    "to_record_batches",
    "why_broken",
]
