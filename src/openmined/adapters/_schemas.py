"""The published schemas: what data scientists may ask for and data owners may offer.

They ship as JSON beside this module and are the same files as in docs/schemas.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from openmined.adapters._errors import UnknownSchema
from openmined.protocol import TableSchema


@cache
def published_schemas() -> tuple[TableSchema, ...]:
    """Return every published schema, sorted by id."""
    folder = resources.files("openmined.adapters") / "schemas"
    found = [
        TableSchema.model_validate_json(item.read_text("utf-8"))
        for item in folder.iterdir()
        if item.name.endswith(".json")
    ]
    return tuple(sorted(found, key=lambda schema: schema.id or ""))


def published_schema(schema_id: str) -> TableSchema:
    """Return the published schema of that id, `openmined/tweets@1` say.

    Raises:
        UnknownSchema: if there is none.
    """
    for schema in published_schemas():
        if schema.id == schema_id:
            return schema
    known = ", ".join(schema.id or "" for schema in published_schemas())
    raise UnknownSchema(f"no published schema {schema_id!r}; there are {known}")
