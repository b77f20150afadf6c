from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from audotics.data import Dataset, ImportReport, import_dataset
from audotics.data import spool as spool_module
from audotics.data.formats import tabular
from audotics.data.manifest import Counts
from audotics.data.schema import EVENTS
from audotics.errors import BadInputError
from audotics.telemetry import Progress
from contract.format_contract import assert_accounted


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def _write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def _events(dataset: Dataset, *columns: str) -> list[tuple[object, ...]]:
    return dataset.events().select(columns).collect().rows()


def _import(source: Path, out: Path, format: str = "auto", **options: object) -> Dataset:
    report = import_dataset(source, format, out, **options)  # type: ignore[arg-type]
    dataset = Dataset.open(out)
    assert dataset.manifest == report.dataset.manifest
    assert_accounted(dataset)
    return dataset


def test_play_counts_without_times(tmp_path: Path, out: Path) -> None:
    source = _write(
        tmp_path / "train.tsv", "user_id\ttrack_id\tplays", "2\t51\t13883", "2\t52\t11690", "10\t51\t1"
    )
    dataset = _import(source, out)
    assert _events(dataset, "user_id", "track_id", "plays", "event", "timestamp", "position") == [
        ("10", "51", 1.0, "play", None, None),
        ("2", "51", 13883.0, "play", None, None),
        ("2", "52", 11690.0, "play", None, None),
    ]
    assert not dataset.timed
    assert dataset.events().collect_schema() == pl.Schema(EVENTS)


def test_pairs_alone_are_enough(tmp_path: Path, out: Path) -> None:
    dataset = _import(_write(tmp_path / "log.csv", "user_id,track_id", "a,x", "a,y"), out)
    assert _events(dataset, "track_id", "plays") == [("x", 1.0), ("y", 1.0)]


def test_times_of_mixed_units_and_exact_duplicates(tmp_path: Path, out: Path) -> None:
    source = _write(
        tmp_path / "log.csv",
        "user,song_id,ts,action,mood",
        "a,x,1614859200,play,calm",
        "a,x,1614859200000,play,calm",
        "a,x,2021-03-04T12:00:00Z,skip,calm",
        "a,y,2021-03-04 11:00:00,,calm",
    )
    report = import_dataset(source, "csv", out, column_map={"context_mood": "mood"})
    noon = datetime(2021, 3, 4, 12, tzinfo=UTC)
    assert report.counts == {"events": Counts(read=4, accepted=3, merged=1)}
    assert _events(report.dataset, "track_id", "timestamp", "event", "context_mood") == [
        ("y", noon.replace(hour=11), "play", "calm"),
        ("x", noon, "play", "calm"),
        ("x", noon, "skip", "calm"),
    ]
    assert report.dataset.manifest.time_range == (noon.replace(hour=11), noon)
    assert report.notes == (
        "log.csv: reads user_id from user, track_id from song_id, timestamp from ts, event from action",
    )


def test_positions_keep_what_is_known(tmp_path: Path, out: Path) -> None:
    source = _write(
        tmp_path / "train.tsv",
        "playlist_id\ttrack_id\tposition",
        *("7\tb\t1", "7\ta\t0", "7\tz\t-1", "8\tq\t-1", "8\tp\t-1"),
    )
    dataset = _import(source, out, "csv")
    assert _events(dataset, "user_id", "track_id", "position") == [
        ("7", "a", 0),
        ("7", "b", 1),
        ("7", "z", None),
        ("8", "q", None),
        ("8", "p", None),
    ]


def test_tables_of_their_own_add_and_replace(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "set"
    _write(folder / "events.csv", "user_id,track_id", "a,x")
    _write(folder / "tracks.csv", "track_id,title", "x,Old")
    pl.DataFrame({"id": ["x", "y"], "name": ["New", "Y"], "tempo": [120.0, None]}).write_parquet(
        tmp_path / "t.parquet"
    )
    users = _write(tmp_path / "users.jsonl", '{"user_id": "a", "country": "DE", "birth_year": 1980}')
    entries = tmp_path / "p.csv.gz"
    entries.write_bytes(gzip.compress(b"pid,pos,track_id\n1,1,y\n1,0,x\n"))
    dataset = _import(folder, out, tracks=tmp_path / "t.parquet", users=users, playlists=entries)
    assert dataset.tracks().select("track_id", "title", "feature_tempo").rows() == [
        ("x", "New", 120.0),
        ("y", "Y", None),
    ]
    assert dataset.users().select("user_id", "country", "birth_year").rows() == [("a", "DE", 1980)]
    assert dataset.playlists().rows() == [("1", 0, "x"), ("1", 1, "y")]
    assert dataset.manifest.source == "csv: set, tracks t.parquet, users users.jsonl, playlists p.csv.gz"


def test_events_of_their_own_keep_the_content_of_the_set(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "set"
    _write(folder / "events.csv", "user_id,track_id", "a,x", "b,y")
    _write(folder / "tracks.csv", "track_id,title", "x,X", "y,Y")
    dataset = _import(folder, out, events=_write(tmp_path / "split" / "train.csv", "user_id,track_id", "a,x"))
    assert _events(dataset, "user_id", "track_id") == [("a", "x")]
    assert dataset.tracks()["track_id"].to_list() == ["x", "y"]


def test_a_dataset_can_be_imported_again(tmp_path: Path, out: Path) -> None:
    source = _write(tmp_path / "log.csv", "user_id,track_id,context_mood", "a,x,calm", "b,y,", "b,bad\x01id,")
    tracks = _write(
        tmp_path / "tracks.csv", "track_id,genres,explicit,released", "x,rock|pop,true,1999-02-03"
    )
    first = _import(source, tmp_path / "first", tracks=tracks, max_rejects=0.5)
    again = _import(first.path, out)
    assert again.events().collect().equals(first.events().collect())
    assert again.tracks().equals(first.tracks())
    assert again.rejects().is_empty()


def test_rejects_say_where_and_why(tmp_path: Path, out: Path) -> None:
    good = [f"u{n},t{n},2024-01-01T00:00:{n:02d}Z" for n in range(50)]
    bad = ["u,t,yesterday", ",t,2024-01-01", "u,t", "u,t,1", "u,t,"]
    dataset = _import(
        _write(tmp_path / "log.csv", "user_id,track_id,timestamp", *good, *bad), out, max_rejects=0.1
    )
    assert sorted(dataset.rejects().select("line", "column", "value").rows()) == [
        (52, "timestamp", "yesterday"),
        (53, "user_id", ""),
        (54, "", "u,t"),
        (55, "timestamp", "1"),
        (56, "timestamp", ""),
    ]
    assert dataset.manifest.counts["events"] == Counts(read=55, accepted=50, rejected=5)
    assert set(dataset.rejects()["file"]) == {"log.csv"}


def test_too_many_rejects_change_nothing(tmp_path: Path, out: Path) -> None:
    _import(_write(tmp_path / "old.csv", "user_id,track_id", "a,x"), out)
    before = Dataset.open(out).manifest
    lines = [f"u{n},t{n},{-1 if n % 20 == 0 else 1}" for n in range(100)]
    with pytest.raises(BadInputError) as caught:
        import_dataset(_write(tmp_path / "log.csv", "user_id,track_id,plays", *lines), "csv", out)
    message = str(caught.value)
    assert "5 of 100 rows for events are unusable, more than 1 %" in message
    assert "line 2, plays '-1': plays must be a number above 0" in message
    assert str(tmp_path / "log.csv") in message
    assert "--max-rejects" in message
    assert caught.value.exit_code == 2
    assert Dataset.open(out).manifest == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset", "log.csv", "old.csv"]


@pytest.mark.parametrize(("n_bad", "fails"), [(1, False), (2, True)])
def test_the_limit_itself_is_allowed(tmp_path: Path, out: Path, n_bad: int, fails: bool) -> None:
    lines = [f"u{n},t" for n in range(100 - n_bad)] + [",t"] * n_bad
    source = _write(tmp_path / "log.csv", "user_id,track_id", *lines)
    if fails:
        with pytest.raises(BadInputError, match="2 of 100"):
            import_dataset(source, "csv", out)
    else:
        _import(source, out, "csv")


def test_each_table_has_its_own_limit(tmp_path: Path, out: Path) -> None:
    events = _write(tmp_path / "log.csv", "user_id,track_id", *(f"u{n},t" for n in range(1000)))
    tracks = _write(tmp_path / "tracks.csv", "track_id,explicit", "t,true", "u,perhaps")
    with pytest.raises(BadInputError, match="1 of 2 rows for tracks"):
        import_dataset(events, "csv", out, tracks=tracks)


def _bad_sources(folder: Path) -> dict[str, bytes]:
    table = b"user_id,track_id\n" + b"".join(b"u%d,t%d\n" % (n % 97, n % 89) for n in range(20_000))
    parquet = folder / "whole.parquet"
    pl.DataFrame({"user_id": range(1000), "track_id": range(1000)}).write_parquet(parquet)
    return {
        "half.csv.gz": gzip.compress(table)[:2000],
        "half.parquet": parquet.read_bytes()[:900],
        "noise.csv": bytes(range(256)) * 100,
        "noise.parquet": b"PAR1" + bytes(range(256)) * 100,
        "noise.jsonl": b"{" + bytes(range(256)) * 100,
        "empty.csv": b"",
        "header.csv": b"user_id,track_id\n",
        "wrong.csv": b"listener,thing_nr\n1,2\n",
        "prose.csv": b"It was a dark and stormy night.\nThe rain fell in torrents.\n",
        "utf16.csv": "user_id,track_id\n".encode("utf-16"),
    }


@pytest.mark.parametrize("format", ["auto", "csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    "name",
    [
        *("half.csv.gz", "half.parquet", "noise.csv", "noise.parquet", "noise.jsonl"),
        *("empty.csv", "header.csv", "wrong.csv", "prose.csv", "utf16.csv"),
    ],
)
def test_useless_sources_end_in_one_line_and_leave_nothing(tmp_path: Path, name: str, format: str) -> None:
    source = tmp_path / name
    source.write_bytes(_bad_sources(tmp_path)[name])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadInputError) as caught:
        import_dataset(source, format, tmp_path / "dataset")
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert sorted(tmp_path.iterdir()) == before


def test_missing_sources_are_bad_input(tmp_path: Path, out: Path) -> None:
    there = _write(tmp_path / "log.csv", "user_id,track_id", "a,x")
    with pytest.raises(BadInputError, match="no such file"):
        import_dataset(tmp_path / "nothing.csv", "auto", out)
    with pytest.raises(BadInputError, match="no such file"):
        import_dataset(there, "auto", out, tracks=tmp_path / "nothing.csv")
    assert not out.exists()


def test_no_listed_column_is_lost_without_a_word(tmp_path: Path, out: Path) -> None:
    source = _write(tmp_path / "log.csv", "user_id,track_id,rating,comment", "a,x,5,nice")
    assert import_dataset(source, "csv", out).notes == ("log.csv: ignores rating, comment",)


def test_reports_are_plain_values_and_stages_are_recorded(tmp_path: Path, out: Path) -> None:
    progress = Progress()
    source = _write(tmp_path / "log.csv", "user_id,track_id,ts", "a,x,1614859200")
    report = import_dataset(source, "auto", out, progress=progress)
    assert isinstance(report, ImportReport)
    plain = report.as_dict()
    assert plain["counts"] == {
        "events": {"read": 1, "accepted": 1, "merged": 0, "rejected": 0, "left_out": 0}
    }
    assert plain["time_range"] == ["2021-03-04T12:00:00+00:00"] * 2
    assert plain["format"] == "csv"
    assert [(record.name, record.done) for record in progress.records] == [("read", 1), ("sort and write", 1)]


def test_large_files_go_through_the_disk_in_pieces(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same rows whether they fit into memory or not, also over several files of several types."""
    n = 5000
    frame = pl.DataFrame(
        {
            "user_id": [n * 7919 % 211 for n in range(n)],
            "track_id": [n * 104_729 % 307 for n in range(n)],
            "timestamp": [1_600_000_000 + n // 3 * 60 for n in range(n)],
            "context_x": [n % 2 == 0 for n in range(n)],
        }
    )
    folder = tmp_path / "parts"
    folder.mkdir()
    for place, part in enumerate(frame.iter_slices(1300)):
        part.write_parquet(folder / f"{place}.parquet")
    whole = _import(folder, tmp_path / "whole").events().collect()
    monkeypatch.setattr(spool_module, "_HELD_ROWS", 700)
    monkeypatch.setattr(tabular, "CHUNK_ROWS", 300)
    pieces = _import(folder, out)
    assert len(list((out / "events").iterdir())) == 4
    order = ["user_id", "timestamp", "track_id"]
    assert pieces.events().collect().sort(order).equals(whole.sort(order))
    per_part = [set(pl.read_parquet(part)["user_id"]) for part in (out / "events").iterdir()]
    assert sum(map(len, per_part)) == 211


def test_the_public_sets_import_whole(shared_data: object, tmp_path: Path, out: Path) -> None:
    folder = shared_data("spotify-playlists")  # type: ignore[operator]
    dataset = _import(folder / "train.tsv.gz", out, "csv", tracks=folder / "tracks.tsv.gz")
    assert dataset.manifest.rows == {"events": 115_553, "tracks": 20_635}
    assert dataset.tracks()["duration_ms"].max() > 60_000


def test_tags_of_held_out_artists_stay_out(shared_data: object, out: Path) -> None:
    folder = shared_data("hetrec-lastfm-2k")  # type: ignore[operator]
    dataset = _import(folder, out, "hetrec-lastfm", events=folder / "split" / "train.tsv.gz")
    tags = dataset.manifest.counts["tracks.tags"]
    assert dataset.manifest.rows == {"events": 74_264, "tracks": 17_632, "users": 1_892}
    assert (tags.accepted + tags.left_out, tags.rejected) == (186_479, 0)
    assert dataset.tracks()["tags"].list.len().sum() == tags.accepted
