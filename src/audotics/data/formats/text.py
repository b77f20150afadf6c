"""Text files of any origin as numbered, decoded lines, in bounded memory.

Handles gzip and Zstandard, byte-order marks, Windows line ends, bytes that are not UTF-8, NUL bytes
and lines of absurd length. Damaged or truncated archives, archives that expand without end and
binary files end in one `BadInputError` that names the file.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import polars as pl
import zstandard
from typing_extensions import Buffer

from audotics.data.formats.protocol import LINE, no_rejects
from audotics.data.schema import REJECTS
from audotics.errors import BadInputError

BLOCK_BYTES = 16 << 20
"""Bytes of text worked on at once."""

MAX_LINE_BYTES = 1_000_000
"""A longer line is a reject (and is never held whole in memory)."""

MAX_EXPANSION = 250
"""How many times its size a compressed file may grow; logs reach 40, bombs 1,000 and more."""

ALWAYS_ALLOWED_BYTES = 64 << 20
"""Growth below this is never questioned: tiny files of repeated rows compress extremely well."""

SHOWN_CHARACTERS = 200
"""How much of a refused value is kept in rejects."""

_ZST_INPUT_BYTES = 4096  # at most 1,024 blocks of 128 KiB: bounds what one step can expand to
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_FOREIGN = {
    b"PK\x03\x04": "a zip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
}


@dataclass(frozen=True, slots=True)
class LineBlock:
    """Some consecutive lines of a file.

    Args:
        lines: `LINE` (1-based) and ``text`` without the line end; blank lines are left away.
        rejected: Lines that cannot be text (NUL bytes, longer than `MAX_LINE_BYTES`).
    """

    lines: pl.DataFrame
    rejected: pl.DataFrame


class _ZstReader(io.RawIOBase):
    """Zstandard frames one after the other; unlike the library's reader it notices a missing end."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._step = zstandard.ZstdDecompressor().decompressobj()
        self._ready = b""
        self._frame_open = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        while not self._ready:
            raw = self._source.read(_ZST_INPUT_BYTES)
            if not raw:
                if self._frame_open:
                    raise EOFError("the Zstandard frame has no end")
                return 0
            self._ready = self._expand(raw)
        view = memoryview(buffer)
        taken = self._ready[: len(view)]
        self._ready = self._ready[len(taken) :]
        view[: len(taken)] = taken
        return len(taken)

    def _expand(self, raw: bytes) -> bytes:
        out = []
        while raw:
            if not self._frame_open:
                self._step = zstandard.ZstdDecompressor().decompressobj()
            out.append(self._step.decompress(raw))
            self._frame_open = not self._step.eof
            raw = self._step.unused_data if self._step.eof else b""
        return b"".join(out)


class _GuardedReader(io.RawIOBase):
    """Turns damage and endless expansion of an archive into `BadInputError`."""

    def __init__(self, inner: io.BufferedIOBase | io.RawIOBase, path: Path) -> None:
        self._inner = inner
        self._path = path
        self._allowed = max(path.stat().st_size * MAX_EXPANSION, ALWAYS_ALLOWED_BYTES)
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        try:
            data = self._inner.read(len(view)) or b""
        except EOFError as error:
            raise BadInputError(
                "the compressed file ends in the middle",
                where=str(self._path),
                remedy="Fetch or copy it again",
            ) from error
        except (zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
            raise BadInputError(
                f"the compressed data is damaged ({error})",
                where=str(self._path),
                remedy="Fetch or copy it again",
            ) from error
        self._given += len(data)
        if self._given > self._allowed:
            raise BadInputError(
                f"the file expands to more than {MAX_EXPANSION} times its size",
                where=str(self._path),
                remedy="If you trust it, unpack it first and import the unpacked file",
            )
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._inner.close()
        super().close()


def open_source(path: Path) -> io.BufferedReader:
    """The bytes of a plain, gzip or Zstandard file (told by content, not by name).

    Raises:
        BadInputError: It is missing, unreadable, or (while reading) damaged, truncated or a bomb.
    """
    try:
        raw = path.open("rb")
        magic = raw.read(16)
        raw.seek(0)
    except OSError as error:
        raise BadInputError(f"cannot read the file ({error.strerror})", where=str(path)) from error
    if magic.startswith(b"\x1f\x8b"):
        # GzipFile(fileobj=...) would leave the file itself open; the path makes it the owner.
        raw.close()
        return io.BufferedReader(_GuardedReader(gzip.GzipFile(path), path), BLOCK_BYTES)
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        return io.BufferedReader(_GuardedReader(_ZstReader(raw), path), BLOCK_BYTES)
    for start, kind in _FOREIGN.items():
        if magic.startswith(start):
            raw.close()
            raise BadInputError(
                f"the file is {kind}", where=str(path), remedy="Unpack or convert it to UTF-8 text first"
            )
    return raw


def find_file(folder: Path, name: str) -> Path | None:
    """``folder/name`` as it is, or with ``.gz`` or ``.zst`` behind; None if there is none."""
    candidates = (folder / f"{name}{suffix}" for suffix in ("", ".gz", ".zst"))
    return next((path for path in candidates if path.is_file()), None)


def decode(raw: bytes) -> str:
    """UTF-8 text; single bytes that are not UTF-8 are read as Windows-1252 / Latin-1.

    Works byte by byte, so a file that mixes both encodings, even inside one line, comes out right.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _ESCAPED_BYTE.sub(_from_latin, raw.decode(errors="surrogateescape"))


def _from_latin(match: re.Match[str]) -> str:
    byte = bytes([ord(match[0]) - 0xDC00])
    try:
        return byte.decode("cp1252")
    except UnicodeDecodeError:
        return byte.decode("latin-1")


def shown(text: str) -> str:
    """A refused value as kept in rejects: printable and short."""
    short = text[:SHOWN_CHARACTERS]
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in short)


def reject_lines(path: Path, lines: pl.DataFrame, reason: str | pl.Expr) -> pl.DataFrame:
    """Rejects for whole lines: `LINE` and ``text`` in, columns of ``schema.REJECTS`` out."""
    if lines.is_empty():
        return no_rejects()
    why = pl.lit(reason) if isinstance(reason, str) else reason
    return lines.select(
        pl.lit(path.name).alias("file"),
        pl.col(LINE).cast(pl.Int64).alias("line"),
        pl.lit("").alias("column"),
        pl.col("text").str.head(SHOWN_CHARACTERS).map_elements(shown, return_dtype=pl.String).alias("value"),
        why.alias("reason"),
    ).match_to_schema(REJECTS)


def read_head(path: Path, n_bytes: int = 65_536) -> str:
    """The decoded beginning of a text file, for sniffing.

    Raises:
        BadInputError: The file cannot be read or holds binary data.
    """
    with open_source(path) as source:
        head = source.read(n_bytes)
    control = sum(head.count(bytes([code])) for code in range(32) if code not in (9, 10, 12, 13, 27))
    if control > len(head) // 50:
        raise BadInputError(
            "the file holds binary data, no text",
            where=str(path),
            remedy="Give a csv, tsv, jsonl or Parquet file (gz and zst are fine)",
        )
    return decode(head.removeprefix(b"\xef\xbb\xbf"))


def read_lines(path: Path) -> Iterator[LineBlock]:
    """The lines of a text file, about `BLOCK_BYTES` at a time.

    Raises:
        BadInputError: As `open_source`.
    """
    first_line = 1
    for raw in _whole_lines(path):
        text = decode(raw.removeprefix(b"\xef\xbb\xbf") if first_line == 1 else raw)
        lines = pl.DataFrame({"text": pl.Series([text]).str.split("\n").explode()})
        lines = lines.with_row_index(LINE, offset=first_line).cast({LINE: pl.Int64})
        first_line += lines.height
        if b"\r" in raw:
            lines = lines.with_columns(pl.col("text").str.strip_suffix("\r"))
        lines = lines.filter(pl.col("text").str.strip_chars(" \r") != "")
        yield _refuse_non_text(path, lines, has_nul=b"\0" in raw)


def _refuse_non_text(path: Path, lines: pl.DataFrame, *, has_nul: bool) -> LineBlock:
    rejected = no_rejects()
    too_long = pl.col("text").str.len_bytes() > MAX_LINE_BYTES
    for wrong, reason, possible in (
        (pl.col("text").str.contains("\0", literal=True), "NUL byte in the line", has_nul),
        (too_long, f"line longer than {MAX_LINE_BYTES:,} bytes", not lines.filter(too_long).is_empty()),
    ):
        if possible:
            rejected.extend(reject_lines(path, lines.filter(wrong), reason))
            lines = lines.filter(~wrong)
    return LineBlock(lines, rejected)


def _whole_lines(path: Path) -> Iterator[bytes]:
    """Blocks that end at a line end (not included); the middle of endless lines is thrown away."""
    rest = b""
    with open_source(path) as source:
        while block := source.read(BLOCK_BYTES):
            block = rest + block
            cut = block.rfind(b"\n")
            if cut < 0:
                # Keep just enough of an endless line for it to be refused as too long.
                rest = block[: MAX_LINE_BYTES + 1]
                continue
            yield block[:cut]
            rest = block[cut + 1 :]
    if rest:
        yield rest
