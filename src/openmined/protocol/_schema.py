"""Table schemas: the part of Frictionless Table Schema that datasets and campaigns are matched by.

Source: Table Schema 1, https://specs.frictionlessdata.io/table-schema/.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import Field as Constraint
from pydantic import model_validator

from openmined.protocol._canonical import Frozen

FieldType = Literal["number", "integer", "string", "boolean", "date", "datetime", "array"]
Name = Annotated[str, Constraint(min_length=1, max_length=128, pattern=r"^[A-Za-z_][\w.\-]*$")]
Text = Annotated[str, Constraint(max_length=4096)]
SchemaId = Annotated[str, Constraint(pattern=r"^[a-z0-9][a-z0-9\-]*/[a-z0-9][a-z0-9\-]*@[1-9]\d*$")]


class FieldConstraints(Frozen):
    """What a value must satisfy; `enum` lists the classes of a label in their order."""

    required: bool | None = None
    enum: tuple[str, ...] | None = Constraint(default=None, min_length=2, max_length=4096)
    minimum: float | None = None
    maximum: float | None = None
    minLength: int | None = Constraint(default=None, ge=0, le=1 << 20)  # noqa: N815
    maxLength: int | None = Constraint(default=None, ge=0, le=1 << 20)  # noqa: N815


class SchemaField(Frozen):
    """One column. An `array` holds numbers, its length fixed by minLength = maxLength."""

    name: Name
    type: FieldType
    title: Text | None = None
    description: Text | None = None
    unit: Annotated[str, Constraint(max_length=64)] | None = None
    constraints: FieldConstraints | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        limits = self.constraints or FieldConstraints()
        if self.type == "array" and (limits.minLength is None or self.array_length < 1):
            raise ValueError(f"array field {self.name!r} needs minLength = maxLength >= 1")
        return self

    @property
    def array_length(self) -> int:
        """Numbers in an array value; 1 for every other type."""
        limits = self.constraints
        if self.type != "array" or limits is None:
            return 1
        if limits.minLength != limits.maxLength or limits.minLength is None:
            raise ValueError(f"array field {self.name!r} needs minLength = maxLength")
        return limits.minLength

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels of a categorical field in their order; empty when there are none."""
        return (self.constraints.enum if self.constraints else None) or ()


class TableSchema(Frozen):
    """The columns of a table; `id` names a published schema such as `openmined/tweets@1`."""

    id: SchemaId | None = None
    title: Text | None = None
    description: Text | None = None
    fields: tuple[SchemaField, ...] = Constraint(min_length=1, max_length=4096)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        counts = Counter(field.name for field in self.fields)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise ValueError(f"fields named twice: {', '.join(twice)}")
        return self

    def field(self, name: str) -> SchemaField:
        """Return the field of that name.

        Raises:
            KeyError: if there is none.
        """
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(f"no field {name!r}; there are {', '.join(f.name for f in self.fields)}")

    @property
    def names(self) -> tuple[str, ...]:
        """The field names in order."""
        return tuple(field.name for field in self.fields)

    def missing_from(self, offered: TableSchema) -> list[str]:
        """Say, a line per field, why a dataset of schema `offered` cannot serve this one.

        A field is served by one of the same name and type (an integer serves a number), the same
        array length, and classes that are among the wanted ones.
        """
        return [line for field in self.fields if (line := _mismatch(field, offered))]


def _mismatch(wanted: SchemaField, offered: TableSchema) -> str:
    if wanted.name not in offered.names:
        return f"no field {wanted.name!r}"
    found = offered.field(wanted.name)
    same_type = found.type == wanted.type or (found.type, wanted.type) == ("integer", "number")
    if not same_type:
        return f"field {wanted.name!r} is {found.type}, {wanted.type} is wanted"
    if found.array_length != wanted.array_length:
        return f"field {wanted.name!r} has {found.array_length} numbers, not {wanted.array_length}"
    foreign = set(found.classes) - set(wanted.classes)
    if wanted.classes and found.classes and foreign:
        return f"field {wanted.name!r} has classes the campaign lacks: {', '.join(sorted(foreign))}"
    return ""
