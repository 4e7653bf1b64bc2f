"""One file as multipart/form-data, the way Kubo's RPC takes it: written, and read as it comes."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message
from typing import TYPE_CHECKING

from openmined.storage._errors import StorageError

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartParser


class MalformedUpload(StorageError):
    """An upload is no multipart/form-data, or is cut short."""


@dataclass(frozen=True, slots=True)
class Upload:
    """One file on its way up: `content_type` for the header, and the size of the whole body."""

    boundary: str
    file_bytes: int

    @classmethod
    def of(cls, file_bytes: int) -> Upload:
        """Make an upload of one file of that size."""
        return cls(secrets.token_hex(24), file_bytes)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the request."""
        size = len(self._head) + self.file_bytes + len(self._tail)
        return {
            "Content-Type": f"multipart/form-data; boundary={self.boundary}",
            "Content-Length": str(size),
        }

    def body(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the request's body around the pieces of the file."""
        yield self._head
        yield from pieces
        yield self._tail

    @property
    def _head(self) -> bytes:
        return (
            f"--{self.boundary}\r\n"
            'Content-Disposition: form-data; name="file"; filename="blob"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()

    @property
    def _tail(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()


@dataclass(frozen=True, slots=True)
class PartStart:
    """A part begins: its file name and content type, as the sender states them."""

    filename: str
    content_type: str


@dataclass(frozen=True, slots=True)
class PartEnd:
    """A part is complete."""


PartEvent = PartStart | bytes | PartEnd


class UploadReader:
    """Reads multipart/form-data pushed in pieces; nothing is kept.

    Raises:
        MalformedUpload: if the header names no boundary.
    """

    def __init__(self, content_type: str) -> None:
        from python_multipart.multipart import MultipartParser  # the server alone needs it

        self._events: list[PartEvent] = []
        self._header = (b"", b"")
        self._headers: dict[str, str] = {}
        self._done = False
        message = Message()
        message["Content-Type"] = content_type
        boundary = message.get_boundary()
        if message.get_content_type() != "multipart/form-data" or not boundary:
            raise MalformedUpload("expected Content-Type: multipart/form-data with a boundary")
        self._parser: MultipartParser = MultipartParser(
            boundary.encode("latin-1", "replace"),
            {
                "on_part_begin": self._headers.clear,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": lambda: self._events.append(PartEnd()),
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> list[PartEvent]:
        """Take more of the body; return what it holds, in order."""
        from python_multipart.exceptions import MultipartParseError

        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise MalformedUpload(f"the upload is no multipart/form-data: {error}") from error
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """End the body. Raises MalformedUpload if its last boundary is missing."""
        if not self._done:
            raise MalformedUpload("the upload was cut short: send it again")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def _on_header_end(self) -> None:
        name, value = (part.decode("latin-1") for part in self._header)
        self._headers[name.lower()] = value
        self._header = (b"", b"")

    def _on_headers_finished(self) -> None:
        disposition = Message()
        disposition["Content-Disposition"] = self._headers.get("content-disposition", "")
        filename = disposition.get_filename() or ""
        kind = self._headers.get("content-type", "application/octet-stream")
        self._events.append(PartStart(filename, kind))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(bytes(data[start:end]))

    def _on_end(self) -> None:
        self._done = True
