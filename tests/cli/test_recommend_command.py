"""`audotics recommend` and `audotics similar` for their users."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from audotics.cli import output
from audotics.errors import BadInputError
from audotics.recommender.batch import BatchProcessor
from audotics.registry import Manifest, Registry
from contract.planted import planted_events
from contract.workplace import Audotics, Workplace

READERS = {
    ".parquet": pl.read_parquet,
    ".csv": pl.read_csv,
    ".tsv": lambda path: pl.read_csv(path, separator="\t"),
    ".jsonl": pl.read_ndjson,
}
HEARD = planted_events().group_by("user_id").agg("track_id")
N_LISTENERS, N_TRACKS, N_HEARD = 90, 90, 12


def heard_by(user_id: str) -> set[str]:
    return set(HEARD.filter(pl.col("user_id") == user_id)["track_id"].item())


def json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_one_listener_gets_names_and_reasons(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("recommend", "--models", workplace.models, "--user", "u001", "-k", 3, "--quiet")
    assert (told.code, told.err) == (0, "")
    title, heading, *rows = told.out.rstrip("\n").splitlines()
    assert title == "For listener u001"
    assert heading.split() == ["track", "why"]
    assert [row.split()[0] for row in rows] == ["1", "2", "3"]
    for row in rows:
        assert " by Band " in row
        assert "because you play" in row or "popular with many" in row
    assert max(map(len, told.out.splitlines())) <= 80


def test_json_is_one_line_a_track_and_nothing_else(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("recommend", "--models", workplace.models, "--user", "u001", "-k", 5, "--json")
    rows = json_lines(told.out)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
    assert {row["user_id"] for row in rows} == {"u001"}
    assert not {row["track_id"] for row in rows} & heard_by("u001")
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)
    assert set(rows[0]) == {"user_id", "track_id", "rank", "score", "name", "source", "reason"}
    assert "load the model" in told.err


def test_heard_tracks_may_be_asked_for(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics(
        "recommend",
        "--models",
        workplace.models,
        "--user",
        "u001",
        "-k",
        N_TRACKS,
        "--include-heard",
        "--json",
        "--quiet",
    )
    assert heard_by("u001") <= {row["track_id"] for row in json_lines(told.out)}
    assert told.err.startswith("note: the version was trained for tracks that the listener has not heard: ")


def test_a_version_for_heard_tracks_asked_for_others_is_noted(
    audotics: Audotics, workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    show = Registry.show

    def trained_for_heard(registry: Registry, reference: str) -> Manifest:
        return show(registry, reference).model_copy(update={"config": {"train": {"include_heard": True}}})

    monkeypatch.setattr(Registry, "show", trained_for_heard)
    asked = ("recommend", "--models", workplace.models, "--user", "u001", "-k", 3, "--quiet")
    told = audotics(*asked)
    assert told.code == 0
    assert told.err.startswith("note: the version was trained for heard tracks, too; ")
    assert audotics(*asked, "--include-heard").err == ""


def test_an_unknown_listener_gets_an_answer_and_a_note(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("recommend", "--models", workplace.models, "--user", "nobody", "--json", "--quiet")
    assert told.code == 0
    assert len(json_lines(told.out)) == 10
    assert told.err == (
        "note: listener 'nobody' is unknown to the model; the answer is what everybody may like\n"
    )


def test_several_unknown_listeners_share_a_note(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    file = tmp_path / "listeners.txt"
    file.write_text("u001\nann\nbob\ncyd\ndan\n")
    told = audotics("recommend", "--models", workplace.models, "--users", file, "-k", 1, "--quiet")
    assert told.err == (
        "note: 4 of 5 listeners are unknown to the model ('ann', 'bob', 'cyd', ...); "
        "they get what everybody may like\n"
    )
    for user_id in ("u001", "ann", "dan"):
        assert f"For listener {user_id}\n" in told.out


@pytest.mark.parametrize(
    "text",
    [
        "u001\nu002\n",
        "\ufeffu001\r\n\r\n  \r\nu002\r\nu001\r\n",
        "user_id\nu001\nu002",
        "user_id,plays\nu001,3\nu002,4\n",
        "plays\tuser_id\n3\tu001\n4\tu002\n",
        '"user_id"\n"u001"\n"u002"\n',
    ],
)
def test_a_file_of_listeners_may_be_a_list_or_a_table(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "listeners.txt"
    file.write_text(text, encoding="utf-8")
    told = audotics("recommend", "--models", workplace.models, "--users", file, "-k", 1, "--json")
    assert [row["user_id"] for row in json_lines(told.out)] == ["u001", "u002"]


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ('smith, john\n "ann" \nsmith\tjane\n', ["smith, john", ' "ann" ', "smith\tjane"]),
        ('plays,user_id\n3,"smith, john"\n4, ann\n5\n', ["smith, john", " ann"]),
        ("\u2028a\x0bb\n", ["\u2028a\x0bb"]),
    ],
)
def test_ids_are_taken_as_they_stand(tmp_path: Path, text: str, ids: list[str]) -> None:
    file = tmp_path / "listeners.txt"
    file.write_text(text, encoding="utf-8")
    assert output.chosen_listeners(None, file, False) == ids


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "holds no listener ids. Write one id per line"),
        (b"user_id\n", "holds no listener ids. Write one id per line"),
        (b"\xff\xfe\x00", "this is no UTF-8 text. Write one listener id per line"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_without_listeners_is_refused(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, content: bytes | None, what: str
) -> None:
    file = tmp_path / "listeners.txt"
    if content is not None:
        file.write_bytes(content)
    told = audotics("recommend", "--models", workplace.models, "--users", file)
    assert (told.code, told.out, told.err) == (2, "", f"error: {file}: {what}\n")


@pytest.mark.parametrize("whom", [[], ["--user", "u001", "--all"], ["--users", "a", "--user", "b"]])
def test_whom_to_recommend_to_is_said_once(audotics: Audotics, workplace: Workplace, whom: list[str]) -> None:
    told = audotics("recommend", "--models", workplace.models, *whom)
    assert told.code == 2
    assert "Give one of --user ID, --users FILE, --all, --artist ID and --group ID" in told.err


def test_an_empty_id_is_refused(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("recommend", "--models", workplace.models, "--user", "")
    assert (told.code, told.err) == (2, "error: --user: the id is empty. Give the id of a listener\n")


@pytest.mark.parametrize("suffix", [*READERS, ".CSV"])
def test_everybody_goes_into_a_file(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, suffix: str
) -> None:
    out = tmp_path / f"lists{suffix}"
    told = audotics("recommend", "--models", workplace.models, "--all", "-k", 5, "--out", out)
    assert (told.code, told.out) == (0, f"{out}: 450 rows for 90 listeners\n")
    table = READERS[suffix.lower()](out)
    assert table.columns == ["user_id", "track_id", "rank", "score"]
    assert table.group_by("user_id").len()["len"].to_list() == [5] * N_LISTENERS
    assert table.filter(pl.col("user_id") == "u001")["rank"].to_list() == [1, 2, 3, 4, 5]
    assert table.join(planted_events(), on=["user_id", "track_id"]).is_empty()
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_and_the_terminal_agree(audotics: Audotics, workplace: Workplace, tmp_path: Path) -> None:
    out = tmp_path / "lists.jsonl"
    asked = ("recommend", "--models", workplace.models, "--user", "u007", "--json")
    told = audotics(*asked, "--out", out)
    assert json.loads(told.out) == {"file": str(out), "n_listeners": 1, "n_rows": 10}
    shown = json_lines(audotics(*asked).out)
    assert [row["track_id"] for row in json_lines(out.read_text())] == [row["track_id"] for row in shown]


def test_more_than_the_catalogue_has_is_said(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    out = tmp_path / "lists.csv"
    told = audotics("recommend", "--models", workplace.models, "--all", "-k", 500, "--out", out, "--quiet")
    assert (told.code, told.out) == (0, "")
    assert told.err == (
        "note: 90 of 90 lists have fewer than 500 tracks; the model has no more candidates for them\n"
    )
    assert pl.read_csv(out).height == N_LISTENERS * (N_TRACKS - N_HEARD)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("lists.txt", "cannot write .txt. Use one of .parquet, .csv, .tsv, .jsonl"),
        ("lists", "cannot write a file without an ending. Use one of .parquet, .csv, .tsv, .jsonl"),
        ("missing/lists.csv", "the folder does not exist. Create it first"),
        ("folder.csv", "this is a folder. Give the name of a file"),
    ],
)
def test_a_target_that_cannot_be_is_refused_before_the_work(
    audotics: Audotics, tmp_path: Path, name: str, what: str
) -> None:
    (tmp_path / "folder.csv").mkdir()
    told = audotics("recommend", "--models", tmp_path / "none", "--all", "--out", tmp_path / name)
    assert told.code == 2
    assert told.err.endswith(f": {what}\n")
    assert not (tmp_path / "missing").exists()


def test_a_folder_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output.os, "access", lambda *_: False)
    for check in (output.check_folder, lambda folder: output.check_target(folder / "lists.csv")):
        with pytest.raises(BadInputError, match="the folder cannot be written"):
            check(tmp_path)


def test_an_interruption_leaves_the_old_file(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "lists.csv"
    out.write_text("old")

    def interrupted(*_: object, **__: object) -> pl.DataFrame:
        raise KeyboardInterrupt

    for broken in ((BatchProcessor, "table"), (pl.LazyFrame, "sink_csv")):
        with monkeypatch.context() as patch:
            patch.setattr(*broken, interrupted)
            told = audotics("recommend", "--models", workplace.models, "--all", "--out", out, "--quiet")
        assert (told.code, told.err) == (130, "interrupted: unfinished work was dropped\n")
        assert out.read_text() == "old"
        assert {path.name for path in tmp_path.iterdir()} <= {out.name, f"{out.name}.parts"}


@pytest.mark.parametrize("command", [("recommend", "--user", "u001"), ("similar", "--track", "t001")])
def test_without_a_model_there_is_no_answer(
    audotics: Audotics, workplace: Workplace, tmp_path: Path, command: tuple[str, ...]
) -> None:
    told = audotics(*command, "--models", tmp_path)
    assert (told.code, told.err) == (
        2,
        f"error: {tmp_path}: there is no version yet. Make one: `audotics train`\n",
    )
    told = audotics(*command, "--models", workplace.models, "--model", "rival")
    assert told.code == 2
    assert "there is no version 'rival'" in told.err


def test_a_damaged_version_is_not_used(audotics: Audotics, own_workplace: Workplace) -> None:
    damaged = next((own_workplace.models / "versions").glob("*/retrieval/*/*"))
    damaged.write_bytes(damaged.read_bytes() + b" ")
    told = audotics("recommend", "--models", own_workplace.models, "--user", "u001", "--quiet")
    assert (told.code, told.out) == (3, "")
    assert told.err.startswith(f"error: {damaged}: ")
    assert len(told.err.splitlines()) == 1


def test_similar_tracks_do_not_hold_the_track(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("similar", "--models", workplace.models, "--track", "t001", "-k", 10, "--json")
    tracks = [row["track_id"] for row in json_lines(told.out)]
    assert len(tracks) == 10
    assert "t001" not in tracks
    assert sum(int(track[1:]) < 30 for track in tracks) >= 6, "most are of its genre"
    told = audotics("similar", "--models", workplace.models, "--track", "t001", "-k", 2)
    assert "For listener" not in told.out


def test_an_unknown_track_is_refused(audotics: Audotics, workplace: Workplace) -> None:
    told = audotics("similar", "--models", workplace.models, "--track", "zzz")
    assert (told.code, told.out) == (2, "")
    assert told.err == (
        "error: --track: track 'zzz' is not in the model. Give a track id of the training data\n"
    )


def test_rules_from_a_file_are_followed_and_counted(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    rules, out = tmp_path / "rules.toml", tmp_path / "lists.csv"
    rules.write_text("artist_cap = 1\n")
    asked = ("recommend", "--models", workplace.models, "--all", "-k", 5, "--out", out, "--json", "--quiet")
    plain = json.loads(audotics(*asked).out)
    told = json.loads(audotics(*asked, "--rules", rules).out)
    assert "slates" not in plain
    assert told["slates"]["largest_artist_share"] == pytest.approx(1 / 5)
    assert told["slates"]["acted"]["artist_cap"] > 0
    artists = pl.read_csv(out).with_columns(pl.col("track_id").str.slice(1).cast(pl.Int32) // 3)
    assert artists.group_by("user_id", "track_id").len()["len"].max() == 1


def test_a_wrong_rule_is_refused_before_the_model_is_loaded(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("artist_caps = 1\n")
    told = audotics("recommend", "--models", workplace.models, "--user", "u001", "--rules", rules)
    assert told.code == 2
    assert "rule artist_caps: there is no such setting" in told.err
    assert "load the model" not in told.err


def test_favourite_artists_and_groups_get_one_list(
    audotics: Audotics, workplace: Workplace, tmp_path: Path
) -> None:
    asked = ("recommend", "--models", workplace.models, "-k", 5, "--quiet")
    for whom in (("--artist", "a0", "--artist", "a2"), ("--group", "u001", "--group", "u004")):
        rows = json_lines(audotics(*asked, *whom, "--json").out)
        assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
        out = tmp_path / "list.csv"
        assert audotics(*asked, *whom, "--out", out).code == 0
        assert pl.read_csv(out)["track_id"].to_list() == [row["track_id"] for row in rows]
    told = audotics(*asked, "--group", "u001")
    assert (told.code, told.out) == (2, "")
    assert "the group has 1 listeners" in told.err


def test_a_mode_may_be_asked_for(audotics: Audotics, workplace: Workplace) -> None:
    asked = ("recommend", "--models", workplace.models, "--user", "u001", "-k", 5, "--json", "--quiet")
    familiar = json_lines(audotics(*asked, "--mode", "familiar").out)
    assert {row["track_id"] for row in familiar} <= heard_by("u001")
    assert audotics(*asked, "--mode", "mix").out == audotics(*asked, "--include-heard").out
    told = audotics(*asked, "--mode", "familiar", "--include-heard")
    assert told.code == 2
    assert "contradict each other" in told.err
