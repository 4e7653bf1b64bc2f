"""Which rows of a dataset a campaign can learn from.

People's exports have gaps: tweets that carry no label, or one that nobody asked about; days without
a heart rate. A row takes part when every field of the campaign has a value and its label is one of
the campaign's classes. The others are left out, and counted.
"""

from __future__ import annotations

from typing import Any

from openmined.protocol import CampaignManifest, SchemaField


def usable_rows(campaign: CampaignManifest, batch: Any) -> Any:
    """Return the rows of a `pyarrow.RecordBatch` that a campaign can learn from."""
    import pyarrow as pa
    import pyarrow.compute as pc

    usable = pa.repeat(pa.scalar(value=True), batch.num_rows)
    for field in (*campaign.input.fields, *campaign.output.fields):
        usable = pc.and_(usable, batch.column(field.name).is_valid())
    for field in campaign.output.fields:
        if field.classes:
            usable = pc.and_(usable, _is_class(batch.column(field.name), field))
    return batch if pc.all(usable).as_py() else batch.filter(usable)


def describe_need(campaign: CampaignManifest) -> str:
    """Say what a row needs to be used."""
    names = ", ".join((*campaign.input.names, *campaign.output.names)[:12])
    classes = [label for field in campaign.output.fields for label in field.classes]
    label = f", and a label among {', '.join(classes[:12])}" if classes else ""
    return f"a value in each of {names}{label}"


def _is_class(column: Any, field: SchemaField) -> Any:
    import pyarrow as pa

    encoded = column.dictionary_encode()
    known = {label for label in encoded.dictionary.to_pylist() if _text(label) in field.classes}
    table = pa.array([label in known for label in encoded.dictionary.to_pylist()], pa.bool_())
    return table.take(encoded.indices).fill_null(False)


def _text(label: object) -> str:
    # As labels are compared where they are encoded: 3.0 is class "3".
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
