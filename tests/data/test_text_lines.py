from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from audotics.data.formats import text
from audotics.data.formats.text import decode, find_file, open_source, read_head, read_lines, shown
from audotics.errors import BadInputError


def _lines(path: Path) -> list[tuple[int, str]]:
    return [row for block in read_lines(path) for row in block.lines.rows()]


def _rejects(path: Path) -> list[tuple[int, str]]:
    return [
        (row["line"], row["reason"])
        for block in read_lines(path)
        for row in block.rejected.iter_rows(named=True)
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_compression_is_told_by_content(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "any.name"
    path.write_bytes(pack(b"one\ntwo\n"))  # type: ignore[operator]
    assert _lines(path) == [(1, "one"), (2, "two")]


def test_several_archives_in_one_file_are_read_on(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    assert _lines(path) == [(1, "one"), (2, "two")]
    path.write_bytes(zstandard.compress(b"one\n") + zstandard.compress(b"two\n"))
    assert _lines(path) == [(1, "one"), (2, "two")]


def test_line_numbers_count_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\n  \r\nfour\r\nfive")
    assert _lines(path) == [(1, "one"), (4, "four"), (5, "five")]


@given(content=st.lists(st.text("ab ,\u00e9", max_size=8), max_size=30), size=st.integers(1, 40))
def test_blocks_of_any_size_give_the_same_lines(
    tmp_path_factory: pytest.TempPathFactory, content: list[str], size: int
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "log"
    path.write_text("\n".join(content), encoding="utf-8")
    expected = [(number, line) for number, line in enumerate(content, 1) if line.strip()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "BLOCK_BYTES", size)
        assert _lines(path) == expected


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_archive_is_named(tmp_path: Path, pack: object, share: float) -> None:
    path = tmp_path / "log.packed"
    content = "\n".join(str(n * 7919 % 100_003) for n in range(50_000)).encode()
    packed = pack(content)  # type: ignore[operator]
    path.write_bytes(packed[: int(len(packed) * share)])
    with pytest.raises(BadInputError, match=r"log\.packed: the compressed file ends in the middle"):
        _lines(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor(write_checksum=True).compress])
def test_a_damaged_archive_is_named(tmp_path: Path, pack: object) -> None:
    path = tmp_path / "log.packed"
    content = "\n".join(str(n * 7919 % 100_003) for n in range(50_000)).encode()
    packed = bytearray(pack(content))  # type: ignore[operator]
    packed[len(packed) // 2 : len(packed) // 2 + 40] = bytes(40)
    path.write_bytes(packed)
    with pytest.raises(BadInputError, match=r"log\.packed"):
        _lines(path)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bomb_is_stopped(tmp_path: Path, pack: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "ALWAYS_ALLOWED_BYTES", 1 << 20)
    path = tmp_path / "bomb"
    path.write_bytes(pack(b"user,track\n" * 1_000_000))  # type: ignore[operator]
    with pytest.raises(BadInputError, match="expands to more than 250 times"):
        _lines(path)


def test_small_files_may_compress_extremely_well(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(b"same line\n" * 100_000))
    assert len(_lines(path)) == 100_000


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04rest", "zip"), (b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\xff\xfea\0", "UTF-16")],
)
def test_foreign_containers_are_told_apart(tmp_path: Path, start: bytes, kind: str) -> None:
    path = tmp_path / "log"
    path.write_bytes(start)
    with pytest.raises(BadInputError, match=kind):
        _lines(path)


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(BadInputError, match="cannot read the file"):
            open_source(path)


def test_nul_and_endless_lines_are_rejected_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "BLOCK_BYTES", 1 << 18)
    path = tmp_path / "log"
    path.write_bytes(b"one\nt\0wo\n" + b"x" * 3_000_000 + b"\nfour\n" + b"y" * 1_000_001)
    assert [number for number, _ in _lines(path)] == [1, 4]
    assert _rejects(path) == [
        (2, "NUL byte in the line"),
        (3, "line longer than 1,000,000 bytes"),
        (5, "line longer than 1,000,000 bytes"),
    ]


def test_the_longest_legal_line_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * text.MAX_LINE_BYTES + b"\nnext\n")
    assert [number for number, _ in _lines(path)] == [1, 2]
    assert _rejects(path) == []


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        (b"Bj\xf6rk", "Björk"),
        ("Björk".encode(), "Björk"),
        (b"Bj\xf6rk " + "Björk 東京".encode(), "Björk Björk 東京"),
        (b"\x80 5 \x93quoted\x94", "€ 5 “quoted”"),
        (b"\x81", "\x81"),
        (b"", ""),
    ],
)
def test_bytes_that_are_not_utf8_are_latin(raw: bytes, meant: str) -> None:
    assert decode(raw) == meant


@given(st.text())
def test_utf8_is_left_alone(value: str) -> None:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        return
    assert decode(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_decode_to_text_that_can_be_stored(raw: bytes) -> None:
    assert pl.Series([decode(raw)]).len() == 1


def test_binary_data_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "noise"
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(BadInputError, match="binary data"):
        read_head(path)


def test_find_file_takes_the_plain_one_first(tmp_path: Path) -> None:
    assert find_file(tmp_path, "a.tsv") is None
    (tmp_path / "a.tsv.zst").touch()
    assert find_file(tmp_path, "a.tsv") == tmp_path / "a.tsv.zst"
    (tmp_path / "a.tsv").touch()
    assert find_file(tmp_path, "a.tsv") == tmp_path / "a.tsv"


def test_shown_values_are_printable_and_short() -> None:
    assert shown("a\0b\x1bc") == "a\ufffdb\ufffdc"
    assert len(shown("x" * 10_000)) == text.SHOWN_CHARACTERS
