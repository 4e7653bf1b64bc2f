"""Apple Health's XML: broken declarations, broken elements, and nothing that explodes."""

from __future__ import annotations

import io
from pathlib import Path
from xml.parsers import expat

import pytest

from openmined.adapters import Limits, Row, RowError, UnsafeSource, open_export
from openmined.adapters._xml import parse_element, xml_elements

VECTORS = Path(__file__).parents[2] / "vectors" / "exports"


def elements(text: str, limits: Limits | None = None) -> list[object]:
    stream = io.BytesIO(text.encode())
    found = xml_elements(stream, "a.xml", ("R",), limits or Limits())
    return [item if isinstance(item, RowError) else item[1].attributes for item in found]


def test_the_vector_of_ios_16_is_one_that_expat_refuses() -> None:
    text = (VECTORS / "apple-ios16/source/apple_health_export/export.xml").read_bytes()
    with pytest.raises(expat.ExpatError):
        expat.ParserCreate().Parse(text, True)


@pytest.mark.parametrize(
    "broken",
    [
        '<R a="1" a="2"/>',
        '<R a="<"/>',
        "<R a=1/>",
        '<R a="&unknown;"/>',
        '<R a="1">',
        '<R a="1"><M k="1"></R>',
        "<R <R/>",
        "</Q>",
        '<Q a="1"><M <x></Q>',
    ],
)
def test_a_malformed_element_costs_itself_and_no_neighbour(broken: str) -> None:
    good = '<R n="{}"/>'
    text = f"<H>{good.format(1)}\n{broken}\n{good.format(2)}{good.format(3)}</H>"
    found = elements(text)
    errors = [item for item in found if isinstance(item, RowError)]
    rows = [item for item in found if not isinstance(item, RowError) and "n" in item]
    assert [row["n"] for row in rows] == ["1", "2", "3"]
    assert errors
    assert {error.place.line for error in errors} == {2}
    assert not any(error.stops for error in errors)


def test_elements_deeper_down_do_not_count() -> None:
    text = '<H><C><R n="inside"/></C><R n="1"><R2/><M k="v"/></R></H>'
    assert elements(text) == [{"n": "1"}]


def test_comments_instructions_and_character_data_go_by() -> None:
    text = (
        '<?xml version="1.0"?><!-- <R n="0"/> --><H>x<![CDATA[<R n="0"/>]]><?p <R?><R n="1"/></H>'
    )
    assert elements(text) == [{"n": "1"}]


@pytest.mark.parametrize("cut", range(10, 60, 7))
def test_a_file_cut_short_says_so(cut: int) -> None:
    text = ('<H><R n="1"/><R n="2"/>' + '<R n="3"><M k="4"/></R>' + "</H>" + " " * 20)[:cut]
    found = elements(text)
    if "</H>" not in text:
        assert isinstance(found[-1], RowError)
        assert found[-1].stops or "never closed" in found[-1].reason


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE H [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>',
        '<!DOCTYPE H [<!entity x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE H [<!ENTITY % p SYSTEM "http://192.0.2.1/"> %p;]>',
    ],
)
def test_declared_entities_are_refused(declaration: str) -> None:
    with pytest.raises(UnsafeSource, match="declares XML entities"):
        elements(f'<?xml version="1.0"?>{declaration}<H><R a="&b;"/></H>')


def test_a_declaration_hidden_behind_a_long_comment_declares_nothing() -> None:
    comment = f"<!--{' ' * 9000}-->"
    found = elements(f'{comment}<!DOCTYPE H [<!ENTITY a "ha">]><H><R a="&a;"/></H>')
    assert all(isinstance(item, RowError) for item in found)


def test_depth_children_and_size_are_bounded() -> None:
    small = Limits(record_chars=2000, depth=8)
    deep = "<H><R>" + "<M>" * 50 + "</M>" * 50 + '</R><R n="1"/></H>'
    assert "nested deeper" in str(elements(deep, small)[0])
    assert elements(deep, small)[-1] == {"n": "1"}
    long = f'<H><R a="{"x" * 5000}"/><R>{"<M/>" * 900}</R><R n="1"/></H>'
    found = elements(long, small)
    assert found[-1] == {"n": "1"}
    many = f"<R>{'<M/>' * 10_001}</R>"
    with pytest.raises(ValueError, match="children"):
        parse_element(many)


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_declared_encodings_are_honoured(tmp_path: Path, encoding: str) -> None:
    record = (
        '<Record type="HKQuantityTypeIdentifierStepCount" sourceName="Zoë" unit="count" '
        'startDate="2026-08-01 09:00:00 +0200" endDate="2026-08-01 09:00:00 +0200" value="1"/>'
    )
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n<HealthData>{record}</HealthData>'
    path = tmp_path / "export.xml"
    path.write_bytes(text.encode(encoding))
    with open_export(path, adapter="apple-health") as export:
        items = list(export.rows())
    assert [item.values["source"] for item in items if isinstance(item, Row)] == ["Zoë"]
