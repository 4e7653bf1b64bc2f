"""Open what the owner points at: a file, a folder, a zip archive, a gzip file."""

from __future__ import annotations

import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from openmined.adapters._errors import LimitExceeded, SourceError, UnsafeSource
from openmined.adapters._limits import Limits
from openmined.adapters._source import Entry, Refused, Source, is_archive, is_litter
from openmined.adapters._zip import open_zip

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP_MAGIC = b"\x1f\x8b"
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def open_source(path: str | Path, limits: Limits | None = None) -> Source:
    """Look into a file, a folder or a zip archive; nothing of its contents is read yet.

    Raises:
        SourceError: if it does not exist or cannot be read.
        UnsafeSource: if it is built as no honest export is (links, paths outside, overlaps).
        LimitExceeded: if it is larger than the limits.
    """
    limits = limits or Limits()
    path = Path(path)
    try:
        if path.is_dir():
            return _open_folder(path, limits)
        return _open_file(path, limits)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def _open_file(path: Path, limits: Limits) -> Source:
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder")
    if not path.is_file():
        raise SourceError(f"{path}: neither a plain file nor a folder")
    with path.open("rb") as stream:
        magic = stream.read(4)
    if magic.startswith(_ZIP_MAGIC):
        return open_zip(path, limits)
    if magic.startswith(_GZIP_MAGIC):
        return _open_gzip(path, limits)
    if is_archive(path.name):
        raise SourceError(f"{path.name}: only zip archives are read; unpack it into a folder first")
    entry = Entry(path.name, path.stat().st_size)
    limits.check_total(path.name, 1, entry.size)
    return Source(
        name=path.name,
        entries=(entry,),
        opener=lambda _: path.open("rb"),
        limits=limits,
        locate=lambda _: path,
    )


def _open_gzip(path: Path, limits: Limits) -> Source:
    if is_archive(path.name):
        raise SourceError(f"{path.name}: only zip archives are read; unpack it into a folder first")
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    entry = Entry(name, path.stat().st_size)
    return Source(
        path.name, (entry,), lambda _: gunzip(path.open("rb"), name, entry.size, limits), limits
    )


def gunzip(stream: BinaryIO, name: str, compressed: int, limits: Limits) -> BinaryIO:
    """Unpack a gzip stream as it is read, and close it when the result is closed.

    Reading raises `SourceError` where it is damaged and `LimitExceeded` where it is a bomb.
    """
    raw = _Gunzip(stream, name, compressed, limits)
    return cast("BinaryIO", io.BufferedReader(raw, 1 << 16))


class _Gunzip(io.RawIOBase):
    """A gzip file that stops when it unpacks to more than an honest file would."""

    def __init__(self, stream: BinaryIO, name: str, compressed: int, limits: Limits) -> None:
        self._under, self._stream = stream, gzip.GzipFile(fileobj=stream, mode="rb")
        self._name, self._compressed, self._limits = name, compressed, limits
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(f"{self._name}: the gzip file is damaged: {error}") from error
        self._read += len(data)
        self._limits.check_entry(self._name, self._read, self._compressed)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        self._under.close()
        super().close()


def _open_folder(path: Path, limits: Limits) -> Source:
    root = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    entries: list[Entry] = []
    refused: list[Refused] = []
    try:
        total = 0
        for found in _walk(path, "", limits, refused):
            entries.append(found)
            total += found.size
            limits.check_total(path.name, len(entries), total)
    except BaseException:
        os.close(root)
        raise
    entries.sort(key=lambda entry: entry.name)
    return Source(
        name=path.name,
        entries=tuple(entries),
        opener=lambda entry: _open_beneath(root, entry.name),
        limits=limits,
        refused=tuple(refused),
        locate=lambda entry: path / entry.name,
        closer=lambda: os.close(root),
    )


def _walk(root: Path, inside: str, limits: Limits, refused: list[Refused]) -> Iterator[Entry]:
    if inside.count("/") > limits.folder_depth:
        raise LimitExceeded(f"{inside}: folders nested deeper than {limits.folder_depth}")
    with os.scandir(root / inside) as found:
        for item in found:
            name = inside + item.name
            if is_litter(name):
                continue
            if item.is_symlink():
                refused.append(Refused(name, "a symbolic link is not followed"))
            elif item.is_dir(follow_symlinks=False):
                yield from _walk(root, name + "/", limits, refused)
            elif not item.is_file(follow_symlinks=False):
                refused.append(Refused(name, "neither a file nor a folder"))
            elif is_archive(name):
                refused.append(Refused(name, "an archive inside a folder is not opened"))
            else:
                yield Entry(name, item.stat(follow_symlinks=False).st_size)


def _open_beneath(root: int, name: str) -> BinaryIO:
    """Open a file below an open folder, a segment at a time, following no link on the way."""
    *folders, base = name.split("/")
    held = os.dup(root)
    try:
        for folder in folders:
            step = os.open(folder, _OPEN_FLAGS | os.O_DIRECTORY, dir_fd=held)
            os.close(held)
            held = step
        descriptor = os.open(base, _OPEN_FLAGS, dir_fd=held)
    finally:
        os.close(held)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeSource(f"{name}: no plain file any more")
    return os.fdopen(descriptor, "rb")
