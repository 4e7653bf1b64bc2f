"""How much of a stranger's file is read before we say no."""

from __future__ import annotations

from dataclasses import dataclass

from openmined.adapters._errors import LimitExceeded

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on a source; together they keep any import under 256 MB of memory.

    Real exports stay well below: the largest archives of X hold some 100,000 entries, an Apple
    Health export.xml reaches a few GiB and deflates about 30 to 1.
    """

    entries: int = 150_000
    directory_bytes: int = 32 * MIB
    """The table of contents of a zip archive, which is read as a whole."""
    entry_bytes: int = 16 * GIB
    total_bytes: int = 128 * GIB
    ratio: int = 250
    """Uncompressed to compressed size of an entry above 1 MiB; deflate can reach 1032."""
    record_chars: int = MIB
    """A line, a JSON element, a CSV record, an XML element."""
    depth: int = 32
    """Nesting of JSON and XML."""
    folder_depth: int = 32
    memory_bytes: int = 32 * MIB
    """An entry that must be held as a whole: an image, a small Parquet file in an archive."""
    pixels: int = 24_000_000
    """Of one image, width times height, before it is scaled."""

    def check_entry(self, name: str, size: int, compressed: int) -> None:
        """Check an entry by its declared sizes.

        Raises:
            LimitExceeded: if it is too large, or compressed too well to be honest.
        """
        if size > self.entry_bytes:
            raise LimitExceeded(f"{name}: {size:,} bytes are more than {self.entry_bytes:,}")
        if size > MIB and size > self.ratio * max(compressed, 1):
            raise LimitExceeded(
                f"{name}: {compressed:,} bytes would unpack to {size:,}, more than "
                f"{self.ratio} to 1: this looks like a zip bomb"
            )

    def check_total(self, name: str, entries: int, size: int) -> None:
        """Check the sums over a source.

        Raises:
            LimitExceeded: if there are too many entries or too many bytes.
        """
        if entries > self.entries:
            raise LimitExceeded(f"{name}: more than {self.entries:,} entries")
        if size > self.total_bytes:
            raise LimitExceeded(f"{name}: {size:,} bytes are more than {self.total_bytes:,}")
