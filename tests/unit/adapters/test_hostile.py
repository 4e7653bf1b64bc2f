"""Archives and files built to harm: no escape, under 256 MB, a clear message."""

from __future__ import annotations

import gzip
import io
import json
import os
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from openmined.adapters import (
    LimitExceeded,
    Limits,
    Row,
    RowError,
    SourceError,
    UnsafeSource,
    open_export,
    open_source,
)

GIB = 1 << 30
TWEET = {"id_str": "1", "full_text": "x", "created_at": "Thu Nov 17 10:12:44 +0000 2022"}


def make_zip(path: Path, entries: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def with_info(path: Path, name: str, change: Callable[[zipfile.ZipInfo], None]) -> Path:
    info = zipfile.ZipInfo(name)
    change(info)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info, b"a,b\n1,2\n")
    return path


# Names


@pytest.mark.parametrize(
    "name",
    [
        "../outside.csv",
        "a/../../outside.csv",
        "/etc/passwd",
        "..\\outside.csv",
        "C:\\outside.csv",
        "C:outside.csv",
        "a/..",
    ],
)
def test_names_that_lead_outside_are_refused(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "a.zip", {"x" * len(name): b"a,b\n1,2\n"})
    path.write_bytes(path.read_bytes().replace(b"x" * len(name), name.encode()))
    with pytest.raises(UnsafeSource, match="outside the archive"):
        open_source(path)


@pytest.mark.parametrize("name", ["a\nb.csv", "a\x1b[2Jb.csv", "x" * 2000])
def test_names_that_are_no_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeSource) as caught:
        open_source(make_zip(tmp_path / "a.zip", {name: b""}))
    assert str(caught.value).isprintable()


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", "a\n1\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("a.csv", "a\n2\n")
    with pytest.raises(UnsafeSource, match="two entries are named"):
        open_source(path)


# Kinds of entries


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_in_an_archive_are_refused(tmp_path: Path, mode: int) -> None:
    def change(info: zipfile.ZipInfo) -> None:
        info.create_system = 3
        info.external_attr = (mode | 0o777) << 16

    with pytest.raises(UnsafeSource):
        open_source(with_info(tmp_path / "a.zip", "a.csv", change))


def test_links_in_a_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nsecret\n")
    folder = tmp_path / "export"
    (folder / "real").mkdir(parents=True)
    (folder / "a.csv").write_text("a\n1\n")
    (folder / "link.csv").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe.csv")
    with open_export(folder) as export:
        rows = [item for item in export.rows() if isinstance(item, Row)]
        refused = {entry.name for entry in export.refused}
    assert [row.values for row in rows] == [{"a": 1}]
    assert refused == {"link.csv", "linked", "pipe.csv"}


def test_a_file_exchanged_for_a_link_after_the_look_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "in").mkdir(parents=True)
    (folder / "in/a.csv").write_text("a\n1\n")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.csv").write_text("a\nsecret\n")
    with open_source(folder) as source:
        (entry,) = source.entries
        (folder / "in/a.csv").unlink()
        (folder / "in").rmdir()
        (folder / "in").symlink_to(tmp_path / "secret", target_is_directory=True)
        with pytest.raises(SourceError), source.open(entry):
            pass


def test_archives_inside_archives_are_named_and_not_opened(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"b.csv": "b\n2\n"}).read_bytes()
    path = make_zip(tmp_path / "a.zip", {"a.csv": "a\n1\n", "deep/inner.zip": inner, "c.tgz": b""})
    with open_export(path) as export:
        rows = [item for item in export.rows() if isinstance(item, Row)]
        refused = {entry.name for entry in export.refused}
    assert [row.values for row in rows] == [{"a": 1}]
    assert refused == {"deep/inner.zip", "c.tgz"}


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_methods_without_bounded_unpacking_are_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.csv", b"a\n1\n")
    with pytest.raises(SourceError, match="unpack the archive"):
        open_source(path)


def test_an_encrypted_archive_says_so(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.csv": "a\n1\n"})
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="encrypted"):
        open_source(path)


# Bombs


def test_an_entry_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.csv": bytes(20 << 20)})
    with pytest.raises(LimitExceeded, match="zip bomb"):
        open_source(path)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    kernel = zlib.compress(os.urandom(5000), wbits=-15)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, 0, len(kernel), 5000, 1, 0)
    body, directory = b"", b""
    for number in range(10):  # every entry points at the same bytes
        name = b"%d" % number
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 8, 0, 0, 0, len(kernel), 5000, 1,
            0, 0, 0, 0, 0, 0,
        ) + name  # fmt: skip
    body = local + b"0" + kernel
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10, 10, len(directory), len(body), 0)
    path = tmp_path / "a.zip"
    path.write_bytes(body + directory + end)
    with pytest.raises(UnsafeSource, match="overlaps"):
        open_source(path)


def test_a_table_of_contents_too_large_for_memory_is_never_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    claimed = 3 * GIB
    with path.open("wb") as out:
        out.truncate(claimed)
        out.seek(0)
        out.write(b"PK\x03\x04")
        out.seek(claimed)
        out.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, claimed, 0, 0))
    with pytest.raises(LimitExceeded, match="table of contents"):
        open_source(path)


def test_more_entries_than_the_limit_are_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {f"{n}.csv": b"" for n in range(11)})
    with pytest.raises(LimitExceeded, match="more than 10 entries"):
        open_source(path, Limits(entries=10))
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(11):
        (folder / f"{number}.csv").write_bytes(b"")
    with pytest.raises(LimitExceeded, match="more than 10 entries"):
        open_source(folder, Limits(entries=10))


def test_a_size_that_lies_is_noticed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.csv": "a\n" + "1\n" * 5000})
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 100)
    path.write_bytes(data)
    with pytest.raises(SourceError, match="damaged"):
        open_export(path)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
def test_an_archive_cut_short_says_so(tmp_path: Path, cut: float) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.csv": os.urandom(9000).hex()})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(SourceError, match="cut short"):
        open_source(path)


def test_damaged_bytes_inside_an_archive_are_an_error_value(tmp_path: Path) -> None:
    lines = "".join(f"{n},{n * 7 % 11}\n" for n in range(200_000))
    path = make_zip(tmp_path / "a.zip", {"a.csv": "a,b\n" + lines})
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    path.write_bytes(data)
    with open_export(path) as export:
        items = list(export.rows())
    last = items[-1]
    assert isinstance(last, RowError)
    assert last.stops
    assert sum(isinstance(item, Row) for item in items) > 1000


def test_a_gzip_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    with gzip.open(path, "wb") as out:
        out.write(b"a\n")
        for _ in range(40):
            out.write(bytes(1 << 20))
    with open_export(path, adapter="csv") as export:
        items = list(export.rows())
    assert isinstance(items[-1], RowError)
    assert "zip bomb" in items[-1].reason


# Long lines, deep nesting, wrong encodings

RECORD = (
    '<Record type="HKQuantityTypeIdentifierStepCount" value="1" '
    'startDate="2026-08-01 09:00:00 +0200"/>'
)
SPARSE = {
    "a.csv": (b"a,b\n1,2\n", b"\n3,4\n", 2),
    "a.jsonl": (b'{"a": 1}\n', b'\n{"a": 2}\n', 2),
    "tweets.js": (
        b"window.YTD.tweets.part0 = [" + json.dumps({"tweet": TWEET}).encode() + b', "',
        b'", ' + json.dumps({"tweet": TWEET}).encode() + b"]",
        1,
    ),
    "export.xml": (
        f"<HealthData>{RECORD}<Record type='".encode(),
        f"'/>{RECORD}</HealthData>".encode(),
        2,
    ),
    "MyActivity.html": (
        b'<html><p class="mdl-typography--title"><div class="outer-cell">',
        b"</div></html>",
        0,
    ),
}


@pytest.mark.parametrize("name", SPARSE)
def test_a_gigabyte_on_one_line_stays_under_256_mb(tmp_path: Path, name: str) -> None:
    head, tail, rows = SPARSE[name]
    path = tmp_path / name
    with path.open("wb") as out:  # a hole of zeros takes no disk
        out.write(head)
        out.seek(GIB, os.SEEK_CUR)
        out.write(tail)
    report = read_in_child(path)
    assert report["peak_mb"] < 256
    assert report["rows"] == rows
    assert report["errors"]


def read_in_child(path: Path) -> dict[str, object]:
    code = (
        "import json, sys\n"
        "from openmined.adapters import Row, open_export\n"
        "rows, errors = 0, []\n"
        "try:\n"
        "    with open_export(sys.argv[1]) as export:\n"
        "        for batch in export.batches(lambda error: errors.append(str(error)[:200])):\n"
        "            rows += batch.num_rows\n"
        "except Exception as error:\n"
        "    errors.append(f'{type(error).__name__}: {error}')\n"
        # ru_maxrss would count what the parent held when it forked
        "status = open('/proc/self/status').read()\n"
        "peak = int(status.partition('VmHWM:')[2].split()[0]) / 1024\n"
        "print(json.dumps({'rows': rows, 'errors': errors[:20], 'peak_mb': peak}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def parquet_bombs() -> dict[str, Callable[[Path], None]]:
    """Files of about a kilobyte that would unpack to gigabytes, each in its own way."""
    one = pa.array(np.zeros(200_000, np.int32))
    repeated = pa.DictionaryArray.from_arrays(one, pa.array(["y" * 1_000_000]))
    zstd = {"compression": "zstd", "store_schema": False}
    return {
        "a text repeated": lambda path: pq.write_table(pa.table({"s": repeated}), path, **zstd),
        "one large page": lambda path: pq.write_table(
            pa.table({"s": ["z" * (100 << 20)]}), path, use_dictionary=False, **zstd
        ),
        "large values": lambda path: pq.write_table(
            pa.table({"s": ["z" * (20 << 20)] * 5}), path, **zstd
        ),
        "a long list": lambda path: pq.write_table(
            pa.table({"l": [[0.0] * 3_000_000, [1.0]]}), path, **zstd
        ),
    }


@pytest.mark.parametrize("kind", parquet_bombs())
def test_parquet_that_unpacks_to_far_more_stays_under_256_mb(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.parquet"
    parquet_bombs()[kind](path)
    assert path.stat().st_size < 10_000
    report = read_in_child(path)
    assert report["peak_mb"] < 256
    assert report["errors"]
    assert any("bytes" in error for error in report["errors"])


def test_a_parquet_footer_that_lies_about_its_pages_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": list(range(1000))}), path)
    data = path.read_bytes()
    path.write_bytes(data[:4] + b"\xff" * 200 + data[204:])
    errors: list[RowError] = []
    with open_export(path) as export:
        assert list(export.batches(errors.append)) == []
    assert "no page where the footer says so" in errors[-1].reason


def test_brackets_without_end_are_one_error(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n' + "[" * 100_000 + "\n" + '{"a":' * 50_000 + '\n{"a": 2}\n')
    with open_export(path) as export:
        items = list(export.rows())
    assert [isinstance(item, Row) for item in items] == [True, False, False, True]
    assert "nested deeper" in str(items[1])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("name\nJosé\n".encode("cp1252"), "encoding cp1252"),
        ("name\n“quoted”\n".encode("cp1252"), "Windows-1252"),
        ("name,b\nJosé,1\n".encode("utf-16-le"), "UTF-16"),
        (b"name\n\xff\xfe\xfd\n", "is not UTF-8"),
        (b"name\nJos\xc3", "is not UTF-8"),
    ],
)
def test_a_wrong_encoding_is_named(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    try:
        with open_export(path) as export:
            found = " ".join(str(item) for item in export.rows() if isinstance(item, RowError))
    except Exception as error:  # noqa: BLE001
        found = str(error)
    assert message in found


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_enough(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("name,b\nJosé 😀,1\n".encode(encoding))
    with open_export(path) as export:
        (row,) = export.rows()
    assert isinstance(row, Row)
    assert row.values == {"name": "José 😀", "b": 1}


def test_formulas_are_data_and_stay_as_they_are(tmp_path: Path) -> None:
    cells = ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", '=HYPERLINK("http://x")']
    path = tmp_path / "a.csv"
    path.write_text("cell,n\n" + "".join(f'"{c.replace(chr(34), chr(34) * 2)}",1\n' for c in cells))
    with open_export(path) as export:
        items = list(export.rows())
    assert [item.values["cell"] for item in items if isinstance(item, Row)] == cells


def test_error_texts_carry_no_terminal_codes(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"n": 1}) + "\n" + json.dumps({"n": "\x1b[2J\x07evil\n"}) + "\n")
    mapping = {"schema": {"fields": [{"name": "n", "type": "integer"}]}}
    (tmp_path / "m.json").write_text(json.dumps(mapping))
    with open_export(path, mapping=tmp_path / "m.json") as export:
        errors = [str(item) for item in export.rows() if isinstance(item, RowError)]
    assert len(errors) == 1
    assert errors[0].isprintable()


@pytest.mark.parametrize("name", ["a.tar.gz", "a.7z", "a.rar", "a.tgz"])
def test_other_archives_are_refused_with_advice(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"x") if name.endswith("gz") else b"7z\xbc\xaf")
    with pytest.raises(SourceError, match="unpack it into a folder"):
        open_source(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SourceError, match="neither a plain file nor a folder"):
        open_source(tmp_path / "pipe")
    with pytest.raises(SourceError, match="no such file"):
        open_source(tmp_path / "absent")


def test_images_that_claim_too_many_pixels_are_refused(tmp_path: Path) -> None:
    from PIL import Image

    def png(size: tuple[int, int]) -> bytes:
        out = io.BytesIO()
        Image.new("1", size).save(out, "PNG")
        return out.getvalue()

    folder = tmp_path / "cat"
    folder.mkdir()
    (folder / "a.png").write_bytes(png((28, 28)))
    (folder / "b.png").write_bytes(png((6000, 6000)))
    (folder / "c.png").write_bytes(png((28, 28))[:45])
    (folder / "d.png").write_bytes(b"GIF89a" + bytes(40))
    with open_export(tmp_path, adapter="images") as export:
        items = list(export.rows())
    assert [isinstance(item, Row) for item in items] == [True, False, False, False]
    assert "pixels" in str(items[1])
