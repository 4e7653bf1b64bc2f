"""docs/adapters.md: every adapter, every schema and every piece of code on the page is real."""

from __future__ import annotations

import inspect
import json
import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

import openmined.adapters as package
from openmined.adapters import (
    Adapter,
    AdapterError,
    Row,
    built_in_adapters,
    open_export,
    parse_mapping,
    published_schema,
    published_schemas,
)

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "adapters.md").read_text("utf-8")
VECTORS = Path(__file__).parents[1] / "vectors" / "exports"
TABLE = {
    row[0]: row for row in re.findall(r"^\| `([\w-]+)` \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.M)
}


def code(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_adapter_is_on_the_page_and_no_other() -> None:
    assert TABLE.keys() - {"name", "title", "schema", "identity"} == built_in_adapters().keys()


@pytest.mark.parametrize("name", built_in_adapters())
def test_the_page_says_which_schema_and_identity(name: str) -> None:
    adapter = built_in_adapters()[name]
    if isinstance(adapter, Adapter):
        assert f"`{adapter.schema.id}`" in TABLE[name][2]
        identity = ", ".join(f"`{field}`" for field in adapter.identity) or "all fields"
        assert TABLE[name][3] == identity


@pytest.mark.parametrize("name", built_in_adapters())
def test_every_parser_shows_a_raw_sample(name: str) -> None:
    module = inspect.getmodule(built_in_adapters()[name])
    assert module is not None
    assert re.search(r"[Rr]aw sample", module.__doc__ or "")


def test_published_schemas_are_documented_and_used() -> None:
    shipped = resources.files("openmined.adapters") / "schemas"
    names = {item.name for item in shipped.iterdir()}
    assert names == {item.name for item in (DOCS / "schemas").glob("*.json")}
    for name in names:
        assert (shipped / name).read_bytes() == (DOCS / "schemas" / name).read_bytes()
    for schema in published_schemas():
        assert f"{schema.id.split('/')[1].replace('@', '-')}.json" in names
        assert f"`{schema.id}`" in PAGE
        assert schema.title
        assert schema.description
        assert all(field.description for field in schema.fields)


def test_every_past_form_has_a_vector() -> None:
    covered = {
        name
        for case in VECTORS.iterdir()
        for name in json.loads((case / "expected.json").read_text())
    }
    told_elsewhere = {
        "parquet",
        "images",
        "idx",
        "sqlite",
        "sql",
    }  # binary, or written by their tests
    assert covered | told_elsewhere == built_in_adapters().keys()


def test_the_mappings_on_the_page_are_mappings() -> None:
    mappings = [tomllib.loads(block) for block in code("toml") if "entry-points" not in block]
    assert len(mappings) == 2
    for mapping in mappings:
        parse_mapping(mapping)


def test_the_adapter_on_the_page_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, usage = code("python")
    names: dict[str, object] = {}
    exec(adapter, names)
    diary = names["DiaryAdapter"]()  # type: ignore[operator]
    assert isinstance(diary, Adapter)
    folder = tmp_path / "diary-export"
    folder.mkdir()
    (folder / "diary.txt").write_text("2026-01-01 rain\n")
    with package.open_source(folder) as source:
        (row,) = diary.read(source)
    assert isinstance(row, Row)
    assert row.values["words"] == "rain"
    (folder / "diary.txt").unlink()
    (folder / "a.csv").write_text("n\n1\n")
    monkeypatch.chdir(tmp_path)
    exec(usage, names)
    assert names["new"].num_rows == 1  # type: ignore[attr-defined]


def test_the_public_names_are_sorted_and_there() -> None:
    def order(name: str) -> tuple[int, str]:
        return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)

    assert package.__all__ == sorted(package.__all__, key=order)
    assert all(hasattr(package, name) for name in package.__all__)


def test_the_error_tree_is_drawn_as_it_is() -> None:
    drawn = inspect.getmodule(AdapterError).__doc__ or ""  # type: ignore[union-attr]
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) and issubclass(value, AdapterError):
            assert name in drawn


def test_unknown_schemas_are_refused_with_the_known() -> None:
    with pytest.raises(AdapterError, match="openmined/tweets@1"):
        published_schema("openmined/nothing@1")


def test_exports_close_their_source(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n\n1\n")
    with open_export(tmp_path) as export:
        assert next(export.rows())
    with pytest.raises(AdapterError):
        export.source.head(export.source.entries[0])
