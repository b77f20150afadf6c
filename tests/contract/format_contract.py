"""What every named import format must keep; subclass it and write a small source of the set."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import polars as pl
import pytest
import zstandard

from audotics.data.dataset import Dataset
from audotics.data.formats import detect, get_format
from audotics.data.formats.protocol import LINE, FormatOptions, RawTable
from audotics.data.importing import import_dataset
from audotics.data.schema import CONTEXT_PREFIX, EVENTS, FEATURE_PREFIX, PLAYLISTS, TRACKS, USERS
from audotics.errors import BadInputError

_SCHEMAS = {"events": EVENTS, "tracks": TRACKS, "users": USERS, "playlists": PLAYLISTS}
_PACKERS = {".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


def lines(*rows: str, encoding: str = "utf-8") -> bytes:
    """Rows of a text file as bytes."""
    return "".join(f"{row}\n" for row in rows).encode(encoding)


def tabbed(*rows: tuple[object, ...]) -> bytes:
    """Rows of values as tab-separated lines."""
    return lines(*("\t".join(str(value) for value in row) for row in rows))


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files by relative name and give the folder back."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def pack(folder: Path, suffix: str) -> None:
    """Replace every text file below the folder by its compressed form."""
    for path in [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet"]:
        path.with_name(path.name + suffix).write_bytes(_PACKERS[suffix](path.read_bytes()))
        path.unlink()


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content with some bytes changed, lines torn, repeated and swapped, as disks and people do."""
    rows = content.split(b"\n")
    for _ in range(max(2, len(rows) // 3)):
        place = chance.randrange(len(rows))
        row = rows[place]
        at = chance.randrange(len(row) + 1)
        rows[place] = chance.choice(
            [
                row[:at],
                row[:at] + bytes([chance.randrange(256)]) + row[at + 1 :],
                row[:at] + b'"' + row[at:],
                row + b"\n" + row,
                row.replace(b"1", "é".encode("latin-1")),
                row[:at] + b"\t,::|" + row[at:],
                b"",
            ]
        )
    return b"\n".join(rows)


def assert_accounted(dataset: Dataset) -> None:
    """Every row read is accepted, merged or rejected, and every reject stands in the table."""
    counts = dataset.manifest.counts
    for table, count in counts.items():
        assert count.read == count.accepted + count.merged + count.rejected, table
    if "events" in counts:
        assert counts["events"].accepted == dataset.events().select(pl.len()).collect().item()
    assert sum(count.rejected for count in counts.values()) == dataset.rejects().height


def raw_rows(tables: list[RawTable], table: str, part: str = "") -> pl.DataFrame:
    """All raw rows that a format gives to a table (or to a part of it)."""
    frames = [
        chunk.rows for found in tables if (found.table, found.part) == (table, part) for chunk in found.chunks
    ]
    return pl.concat(frames, how="diagonal_relaxed")


class FormatContract:
    """Checks of the `Format` protocol.

    A subclass says the name of its format, how many events its small source has and where sources
    of other sets lie that must not be taken for it.
    """

    format_name: str
    n_events: int
    lone_file: str | None = None

    def write(self, folder: Path) -> Path:
        """Write a small, clean source of the set in uncompressed files; what is to be imported."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        (tmp_path / "source").mkdir()
        return self.write(tmp_path / "source")

    def load(self, source: Path, target: Path, **options) -> Dataset:
        """Import with the format named."""
        import_dataset(source, self.format_name, target, **options)
        return Dataset.open(target)

    def test_is_detected(self, source):
        assert get_format(self.format_name).detects(source)
        assert detect(source).name == self.format_name

    @pytest.mark.parametrize("suffix", sorted(_PACKERS))
    def test_is_detected_when_compressed(self, source, suffix):
        pack(source, suffix)
        assert detect(source).name == self.format_name

    def test_lone_file_is_detected(self, source):
        if self.lone_file is not None:
            assert detect(source / self.lone_file).name == self.format_name

    def test_foreign_sources_are_not_claimed(self, tmp_path):
        foreign = write_files(
            tmp_path / "foreign",
            {
                "noise.txt": bytes(range(256)) * 20,
                "train.csv": b"user_id,track_id,plays\n1,2,3\n",
                "train.txt": b"Once upon a time\nthere was a file of prose\n",
                "events.jsonl": json.dumps({"user_id": "a", "track_id": "b"}).encode(),
                "data.json": b"[1, 2, 3]",
                "README.md": b"# nothing here\n",
                "empty.dat": b"",
            },
        )
        reader = get_format(self.format_name)
        assert not reader.detects(foreign)
        for path in foreign.iterdir():
            assert not reader.detects(path), path.name
        (tmp_path / "empty").mkdir()
        assert not reader.detects(tmp_path / "empty")

    def test_every_row_is_accounted_for(self, source, tmp_path):
        dataset = self.load(source, tmp_path / "dataset")
        assert_accounted(dataset)
        assert dataset.rejects().is_empty()
        assert dataset.events().select(pl.len()).collect().item() == self.n_events

    def test_detection_and_name_give_the_same_data(self, source, tmp_path):
        named = self.load(source, tmp_path / "named")
        import_dataset(source, "auto", tmp_path / "detected")
        assert Dataset.open(tmp_path / "detected").manifest.fingerprint == named.manifest.fingerprint

    @pytest.mark.parametrize("suffix", sorted(_PACKERS))
    def test_compression_changes_nothing(self, source, tmp_path, suffix):
        plain = self.load(source, tmp_path / "plain")
        pack(source, suffix)
        packed = self.load(source, tmp_path / "packed")
        assert packed.manifest.fingerprint == plain.manifest.fingerprint

    @pytest.mark.parametrize("seed", range(2))
    def test_damage_is_accounted_for_or_refused(self, source, tmp_path, seed):
        """Random damage to the files ends in rejects or in one clear refusal, never in a crash."""
        for path in sorted(path for path in source.rglob("*") if path.is_file() and path.stat().st_size):
            path.write_bytes(damaged(path.read_bytes(), random.Random(f"{seed} {path.name}")))  # noqa: S311
        try:
            dataset = self.load(source, tmp_path / "dataset", max_rejects=1.0)
        except BadInputError as error:
            assert error.what
            assert not (tmp_path / "dataset").exists()
        else:
            assert_accounted(dataset)

    def test_chunks_speak_the_words_of_the_schema(self, source):
        for table in get_format(self.format_name).tables(source, FormatOptions()):
            prefix = CONTEXT_PREFIX if table.table == "events" else FEATURE_PREFIX
            for chunk in table.chunks:
                assert LINE in chunk.rows.columns
                foreign = set(chunk.rows.columns) - {LINE, "duration_s", *_SCHEMAS[table.table]}
                assert all(name.startswith(prefix) for name in foreign), (table.file.name, foreign)
                assert (chunk.rows[LINE] >= 1).all()

    @pytest.mark.parametrize("table", sorted(_SCHEMAS))
    def test_replaced_tables_are_not_given(self, source, table):
        pairs = pl.LazyFrame(schema={"user_id": pl.String, "track_id": pl.String})
        options = FormatOptions(replaced=frozenset({table}), pairs=pairs if table == "events" else None)
        given = {found.table for found in get_format(self.format_name).tables(source, options)}
        assert table not in given

    def test_an_empty_folder_is_refused_with_a_remedy(self, tmp_path):
        with pytest.raises(BadInputError) as caught:
            list(get_format(self.format_name).tables(tmp_path, FormatOptions()))
        assert caught.value.remedy
        assert caught.value.where

    def test_summary_is_one_line(self):
        reader = get_format(self.format_name)
        assert reader.name == self.format_name
        assert 10 < len(reader.summary) < 140
        assert "\n" not in reader.summary
