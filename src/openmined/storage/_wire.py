"""Unsigned varints and the two protobuf wire types that DAG-PB uses, read strictly."""

from __future__ import annotations

from collections.abc import Iterator

from openmined.storage._errors import MalformedBlock

VARINT = 0
BYTES = 2
_MAX_VARINT_BYTES = 9  # multiformats unsigned-varint: at most 63 bits


def encode_varint(value: int) -> bytes:
    """Encode a number, 0 <= value < 2**63, seven bits a byte, low bits first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes | memoryview | bytearray, start: int) -> tuple[int, int] | None:
    """Return (value, offset after it), or None when `data` ends within it.

    Raises:
        MalformedBlock: if it is longer than nine bytes, or longer than it needs to be.
    """
    value = 0
    for count, byte in enumerate(data[start : start + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            if byte == 0 and count:
                raise MalformedBlock("a varint is padded with a zero byte")
            return value, start + count + 1
    if len(data) - start >= _MAX_VARINT_BYTES:
        raise MalformedBlock("a varint is longer than 63 bits")
    return None


def encode_bytes_field(number: int, data: bytes) -> bytes:
    """Encode a length-delimited protobuf field."""
    return encode_varint(number << 3 | BYTES) + encode_varint(len(data)) + data


def encode_varint_field(number: int, value: int) -> bytes:
    """Encode a varint protobuf field."""
    return encode_varint(number << 3 | VARINT) + encode_varint(value)


def decode_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield (field number, value) in order: a number for varints, bytes for the rest.

    Raises:
        MalformedBlock: on any other wire type and on a field that ends beyond the data.
    """
    position = 0
    while position < len(data):
        key, position = _whole_varint(data, position)
        number, wire_type = key >> 3, key & 7
        value, position = _whole_varint(data, position)
        if wire_type == VARINT:
            yield number, value
        elif wire_type == BYTES:
            if value > len(data) - position:
                raise MalformedBlock(f"field {number} ends beyond its block")
            yield number, data[position : position + value]
            position += value
        else:
            raise MalformedBlock(f"field {number} has wire type {wire_type}, unknown to DAG-PB")


def _whole_varint(data: bytes, position: int) -> tuple[int, int]:
    found = decode_varint(data, position)
    if found is None:
        raise MalformedBlock("a block ends within a varint")
    return found
