"""Sources at the edge of what can be read: what is taken, what is said, what is left behind."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from audotics.data import Dataset, import_dataset
from audotics.data.formats import FORMAT_NAMES
from audotics.data.heldout import read_held_out
from audotics.data.manifest import Counts
from audotics.errors import BadInputError


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "made" / "dataset"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def pairs(dataset: Dataset) -> list[tuple[str, str]]:
    return dataset.events().select("user_id", "track_id").collect().rows()


def test_the_map_may_be_said_either_way_round(tmp_path: Path) -> None:
    source = write(tmp_path / "log.csv", "who,what", "a,x", "b,y")
    one = import_dataset(source, out=tmp_path / "one", column_map={"user_id": "who", "track_id": "what"})
    other = import_dataset(source, out=tmp_path / "other", column_map={"who": "user_id", "what": "track_id"})
    assert pairs(one.dataset) == pairs(other.dataset) == [("a", "x"), ("b", "y")]
    assert one.dataset.manifest.fingerprint == other.dataset.manifest.fingerprint


def test_a_mapped_column_wins_over_a_well_known_name(tmp_path: Path, out: Path) -> None:
    source = write(tmp_path / "log.csv", "user_id,track_id,real", "a,x,z")
    report = import_dataset(source, out=out, column_map={"track_id": "real"})
    assert pairs(report.dataset) == [("a", "z")]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_change_nothing(
    tmp_path: Path, out: Path, ending: str, mark: str
) -> None:
    source = tmp_path / "log.csv"
    source.write_bytes((mark + ending.join(["user_id,track_id", "a,x", "b,y"])).encode())
    assert pairs(import_dataset(source, out=out).dataset) == [("a", "x"), ("b", "y")]


def test_the_same_rows_give_the_same_data_from_any_file(tmp_path: Path) -> None:
    rows = pl.DataFrame({"user_id": ["b", "a", "a"], "track_id": ["x", "y", "x"], "plays": [1, 2, 3]})
    rows.write_csv(tmp_path / "log.csv")
    rows.write_csv(tmp_path / "log.tsv", separator="\t")
    rows.write_parquet(tmp_path / "log.parquet")
    rows.write_ndjson(tmp_path / "log.jsonl")
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress((tmp_path / "log.csv").read_bytes()))
    files = sorted(tmp_path.glob("log.*"))
    prints = {
        import_dataset(file, out=tmp_path / file.name[4:]).dataset.manifest.fingerprint for file in files
    }
    assert len(files) == 5
    assert len(prints) == 1


# Words in lines are listeners with their tracks to "adjacency", whatever they say.
@pytest.mark.parametrize("name", [name for name in FORMAT_NAMES if name not in ("auto", "adjacency")])
def test_a_format_that_does_not_fit_leaves_nothing(tmp_path: Path, out: Path, name: str) -> None:
    source = write(tmp_path / "poem.txt", "shall I compare thee", "to a summer's day")
    with pytest.raises(BadInputError) as caught:
        import_dataset(source, name, out)
    assert str(caught.value)
    assert not out.exists()
    assert not out.parent.exists() or not list(out.parent.iterdir())


def test_a_second_try_after_a_failed_one_works(tmp_path: Path, out: Path) -> None:
    source = write(tmp_path / "log.csv", "who,track_id", "a,x")
    with pytest.raises(BadInputError, match="no column for user_id") as caught:
        import_dataset(source, "csv", out)
    assert "--map user_id=who" in caught.value.remedy
    assert pairs(import_dataset(source, "csv", out, column_map={"user_id": "who"}).dataset) == [("a", "x")]
    assert [path.name for path in out.parent.iterdir()] == ["dataset"]


def test_a_failed_import_leaves_the_earlier_dataset(tmp_path: Path, out: Path) -> None:
    before = import_dataset(write(tmp_path / "good.csv", "user_id,track_id", "a,x"), out=out)
    with pytest.raises(BadInputError):
        import_dataset(write(tmp_path / "bad.csv", "user_id,track_id", ",x"), out=out)
    assert Dataset.open(out).manifest == before.dataset.manifest


def test_all_rejects_may_be_allowed_but_not_a_set_of_none(tmp_path: Path, out: Path) -> None:
    source = write(tmp_path / "log.csv", "user_id,track_id", "a,x", ",y", ",z")
    report = import_dataset(source, out=out, max_rejects=1.0)
    assert report.counts == {"events": Counts(read=3, accepted=1, rejected=2)}
    assert report.dataset.rejects().select("line", "column").rows() == [(3, "user_id"), (4, "user_id")]
    nothing = write(tmp_path / "nothing.csv", "user_id,track_id", ",y", ",z")
    with pytest.raises(BadInputError, match="there are no events in it"):
        import_dataset(nothing, out=tmp_path / "other", max_rejects=1.0)


def test_ids_are_taken_letter_by_letter(tmp_path: Path, out: Path) -> None:
    ids = ["007", "7", "1e3", "true", "NaN", "\u00e9t\u00e9", " padded ", '"quoted"', "a,b"]
    pl.DataFrame({"user_id": ids, "track_id": ["t"] * len(ids)}).write_parquet(tmp_path / "log.parquet")
    found = import_dataset(tmp_path / "log.parquet", out=out).dataset
    assert sorted(user for user, _ in pairs(found)) == sorted(ids)


def test_held_out_rows_that_repeat_are_one(tmp_path: Path) -> None:
    source = write(tmp_path / "test.csv", "user_id,track_id,event", "u,t,play", "u,t,play", "u,t,skip")
    assert sorted(read_held_out(source).rows()) == [("u", "t", "play"), ("u", "t", "skip")]


def test_held_out_ids_are_those_of_an_import(tmp_path: Path, out: Path) -> None:
    rows = pl.DataFrame({"user_id": [3, 1, 2], "track_id": [10.0, 20.0, 30.0]})
    rows.write_parquet(tmp_path / "log.parquet")
    trained_on = pairs(import_dataset(tmp_path / "log.parquet", out=out).dataset)
    asked = read_held_out(tmp_path / "log.parquet").select("user_id", "track_id").rows()
    assert asked == trained_on == [("1", "20"), ("2", "30"), ("3", "10")]
