"""Zip archives from strangers: checked as a whole before one byte is unpacked.

Source: PKWARE APPNOTE 6.3.10; D. Fifield, "A better zip bomb", WOOT 2019 (overlapping entries).
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from openmined.adapters._errors import LimitExceeded, SourceError, UnsafeSource
from openmined.adapters._limits import Limits
from openmined.adapters._source import Entry, Refused, Source, is_archive, is_litter

_END = struct.Struct("<4s4H2LH")  # end of central directory, 4.3.16
_END64 = struct.Struct("<4sQ2H2L4Q")  # zip64 end of central directory, 4.3.14
_LOCATOR64 = struct.Struct("<4sLQL")  # zip64 locator, 4.3.15
_METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflate"}


def open_zip(path: Path, limits: Limits) -> Source:
    """Open a zip archive after checking its table of contents.

    Raises:
        SourceError: if it is damaged, encrypted, or packed by a method we do not read.
        UnsafeSource: if entries overlap, name a place outside, are links, or appear twice.
        LimitExceeded: if it is larger than the limits.
    """
    _check_directory(path, limits)
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise SourceError(f"{path.name}: a damaged zip archive ({error})") from error
    try:
        checked = list(_checked(archive, path.name, limits))
        _check_overlap(archive.infolist(), path.stat().st_size, path.name)
    except BaseException:
        archive.close()
        raise
    infos = {entry.name: info for entry, info in checked if isinstance(entry, Entry)}
    return Source(
        name=path.name,
        entries=tuple(entry for entry, _ in checked if isinstance(entry, Entry)),
        opener=lambda entry: _open_entry(archive, infos[entry.name]),
        limits=limits,
        refused=tuple(entry for entry, _ in checked if isinstance(entry, Refused)),
        closer=archive.close,
    )


def _open_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    try:
        return cast("BinaryIO", io.BufferedReader(_Unpacked(archive, info), 1 << 16))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{info.filename}: {error}") from error


class _Unpacked(io.RawIOBase):
    """An entry as it unpacks, in bounded steps, with our errors instead of zipfile's."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        self._stream = cast("zipfile.ZipExtFile", archive.open(info))
        self._name = info.filename

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read1(len(buffer))
        except (EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise SourceError(f"{self._name}: the archive is damaged: {error}") from error
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _check_directory(path: Path, limits: Limits) -> None:
    """Refuse an oversized table of contents before `zipfile` reads it into memory."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        start = max(0, size - 65_535 - _END.size)
        stream.seek(start)
        tail = stream.read()
        found = tail.rfind(b"PK\x05\x06")
        if found < 0 or len(tail) - found < _END.size:
            raise SourceError(f"{path.name}: a zip archive cut short: download it again")
        _, disk, _, _, count, directory, *_ = _END.unpack_from(tail, found)
        locator = found - _LOCATOR64.size
        if locator >= 0 and tail[locator : locator + 4] == b"PK\x06\x07":
            _, _, offset, _ = _LOCATOR64.unpack_from(tail, locator)
            stream.seek(min(offset, size))
            record = stream.read(_END64.size)
            if len(record) == _END64.size and record[:4] == b"PK\x06\x06":
                count, directory = _END64.unpack(record)[7:9]
    if disk not in (0, 0xFFFF):
        raise SourceError(f"{path.name}: one part of a split archive: join the parts first")
    limits.check_total(path.name, count, 0)
    if directory > limits.directory_bytes:
        raise LimitExceeded(
            f"{path.name}: a table of contents of {directory:,} bytes, "
            f"more than {limits.directory_bytes:,}"
        )


def _checked(
    archive: zipfile.ZipFile, name: str, limits: Limits
) -> Iterator[tuple[Entry | Refused, zipfile.ZipInfo]]:
    seen: set[str] = set()
    total = 0
    for count, info in enumerate(archive.infolist(), start=1):
        total += info.file_size
        limits.check_total(name, count, total)
        inside = _safe_name(info)
        if inside.endswith("/") or is_litter(inside):
            continue
        if inside in seen:
            raise UnsafeSource(f"{name}: two entries are named {inside!r}")
        seen.add(inside)
        if is_archive(inside):
            yield Refused(inside, "an archive inside an archive is not opened"), info
            continue
        limits.check_entry(inside, info.file_size, info.compress_size)
        if info.flag_bits & 0x1:
            raise SourceError(f"{inside}: encrypted; unpack the archive with its password first")
        if info.compress_type not in _METHODS:
            raise SourceError(
                f"{inside}: packed by method {info.compress_type}, which is not read: "
                "unpack the archive into a folder and import that"
            )
        yield Entry(inside, info.file_size), info


def _safe_name(info: zipfile.ZipInfo) -> str:
    """Return the entry's relative path.

    Raises:
        UnsafeSource: if it is absolute, climbs out, is a link, or is not printable.
    """
    name = info.orig_filename.replace("\\", "/")
    shown = ascii(name[:80])
    mode = info.external_attr >> 16
    if stat.S_ISLNK(mode):
        raise UnsafeSource(f"{shown} is a symbolic link: no export contains one")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UnsafeSource(f"{shown} is neither a file nor a folder")
    parts = name.rstrip("/").split("/")
    if name.startswith("/") or ".." in parts or (len(name) > 1 and name[1] == ":"):
        raise UnsafeSource(f"{shown} points outside the archive")
    if len(name) > 1024 or len(parts) > 64:
        raise UnsafeSource(f"{shown}...: a name of {len(name)} characters")
    if any(char < " " or char == "\x7f" for char in name):
        raise UnsafeSource(f"{shown}: control characters in a name")
    return name


def _check_overlap(infos: list[zipfile.ZipInfo], size: int, name: str) -> None:
    ordered = sorted(infos, key=lambda info: info.header_offset)
    ends = [info.header_offset for info in ordered[1:]] + [size]
    for info, end in zip(ordered, ends, strict=False):
        if info.header_offset + 30 + info.compress_size > end:
            raise UnsafeSource(f"{name}: {info.filename!r} overlaps its neighbour (a zip bomb)")
