"""Runs migrations on the connection that `openmined.stats` hands over."""

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import String

from openmined.stats._schema import metadata
from openmined.stats._types import Wei


def _render(kind: str, item: Any, autogen: AutogenContext) -> str | Literal[False]:
    """Write our column types by name in generated migrations."""
    if kind != "type" or not isinstance(item, (Wei, String)):
        return False
    name = "Wei()" if isinstance(item, Wei) else f"ascii_text({item.length})"
    if not isinstance(item, Wei) and item.length is None:
        return False
    autogen.imports.add(f"from openmined.stats._types import {name.split('(')[0]}")
    return name


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_item=_render,
    compare_type=True,
)
context.run_migrations()
