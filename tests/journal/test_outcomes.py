"""What was shown, joined with what was done, against the obvious loop."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.data.corpus import POSITIVE_EVENTS
from audotics.data.schema import EVENT_KINDS
from audotics.journal import ExposureLog
from audotics.journal.exposure_frames import COLUMNS
from audotics.journal.outcomes import OUTCOMES, outcomes, outcomes_since

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def shown(*rows):
    """Exposures from (request, listener, minutes after noon, tracks)."""
    return pl.DataFrame(
        {
            "request_id": [request for request, *_ in rows],
            "user_id": [user for _, user, *_ in rows],
            "timestamp": [NOON + timedelta(minutes=at) for _, _, at, _ in rows],
            "track_ids": [list(tracks) for *_, tracks in rows],
            "scores": [[1.0 / (n + 1) for n in range(len(tracks))] for *_, tracks in rows],
            "propensities": [[0.5] * len(tracks) for *_, tracks in rows],
            "model_version": ["v1"] * len(rows),
            "variant": ["treatment"] * len(rows),
            "rung": ["personalised"] * len(rows),
        },
        schema=COLUMNS,
    )


def done(*rows):
    """Events from (listener, track, minutes after noon, kind, request or None, ms_played or None)."""
    columns = ("user_id", "track_id", "timestamp", "event", "request_id", "ms_played")
    kinds = (pl.String, pl.String, pl.Datetime("us", "UTC"), pl.String, pl.String, pl.Int64)
    values = [
        (user, track, NOON + timedelta(minutes=at), event, request, ms)
        for user, track, at, event, request, ms in rows
    ]
    return pl.DataFrame(values, schema=dict(zip(columns, kinds, strict=True)), orient="row")


def test_each_track_shown_has_a_row_with_what_was_done():
    table = outcomes(
        shown(("r1", "anna", 0, ["a", "b", "c"]), ("r2", "bert", 1, ["a"])),
        done(
            ("anna", "a", 5, "complete", None, 180_000),
            ("anna", "b", 9, "skip", None, 4_000),
            ("anna", "a", 6, "like", None, None),
            ("bert", "b", 9, "play", None, None),  # never shown to bert
        ),
    )
    assert table.schema == pl.Schema(OUTCOMES)
    assert table["track_id"].to_list() == ["a", "b", "c", "a"]
    assert table["position"].to_list() == [1, 2, 3, 1]
    assert table["request_id"].to_list() == ["r1", "r1", "r1", "r2"]
    assert table["score"].to_list() == pytest.approx([1, 1 / 2, 1 / 3, 1])
    assert table["propensity"].to_list() == [0.5] * 4
    assert table["played"].to_list() == [True, False, False, False]
    assert table["completed"].to_list() == [True, False, False, False]
    assert table["skipped"].to_list() == [False, True, False, False]
    assert table["liked"].to_list() == [True, False, False, False]
    assert table["ms_played"].to_list() == [180_000, 4_000, None, None]
    assert set(table["model_version"]) == {"v1"}
    assert set(table["variant"]) == {"treatment"}
    assert set(table["rung"]) == {"personalised"}


def test_an_event_counts_for_the_last_answer_before_it_unless_it_names_another():
    answers = shown(("r1", "anna", 0, ["a"]), ("r2", "anna", 10, ["a"]), ("r3", "anna", 20, ["a"]))
    unnamed = outcomes(answers, done(("anna", "a", 15, "play", None, None)))
    assert unnamed["played"].to_list() == [False, True, False]
    named = outcomes(answers, done(("anna", "a", 15, "play", "r1", None)))
    assert named["played"].to_list() == [True, False, False]
    unknown = outcomes(answers, done(("anna", "a", 15, "play", "never", None)))
    assert unknown["played"].to_list() == [False, True, False]


def test_a_name_of_somebody_elses_answer_is_not_believed():
    answers = shown(("r1", "anna", 0, ["a"]), ("r2", "bert", 0, ["a"]), ("r3", None, 0, ["a"]))
    table = outcomes(
        answers, done(("bert", "a", 5, "play", "r1", None), ("carl", "a", 5, "skip", "r3", None))
    )
    assert table["played"].to_list() == [False, True, False]
    assert table["skipped"].to_list() == [False, False, True]


def test_the_window_and_clocks_that_are_behind():
    answers = shown(("r1", "anna", 0, ["a", "b"]))
    late = done(("anna", "a", 61, "play", None, None), ("anna", "b", 61, "play", "r1", None))
    assert outcomes(answers, late, timedelta(hours=1))["played"].to_list() == [False, False]
    assert outcomes(answers, late, timedelta(minutes=61))["played"].to_list() == [True, True]
    early = done(("anna", "a", -1, "play", None, None), ("anna", "b", -1, "play", "r1", None))
    assert outcomes(answers, early)["played"].to_list() == [False, True]


def test_nothing_shown_and_nothing_done():
    nothing_done = done().drop("request_id")
    assert outcomes(shown(), nothing_done).schema == pl.Schema(OUTCOMES)
    assert outcomes(shown(("r1", "anna", 0, [])), nothing_done).is_empty()
    table = outcomes(shown(("r1", "anna", 0, ["a"])), nothing_done)
    assert table.select("played", "completed", "skipped", "liked").row(0) == (False,) * 4


REQUESTS = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bert", None]),
        st.integers(0, 200),
        st.lists(st.sampled_from("abcd"), unique=True, max_size=4),
    ),
    max_size=12,
    unique_by=lambda row: row[1],
)
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["anna", "bert"]),
        st.sampled_from("abcd"),
        st.integers(0, 300),
        st.sampled_from(EVENT_KINDS),
        st.sampled_from([None, "r0", "r1", "r2"]),
        st.sampled_from([None, 1000, 2000]),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(requests=REQUESTS, happened=EVENTS)
def test_like_the_obvious_loop(requests, happened):
    window = 60
    answers = [(f"r{n}", *row) for n, row in enumerate(requests)]
    table = outcomes(shown(*answers), done(*happened), timedelta(minutes=window))
    found = {}
    for user, track, at, kind, request, ms in happened:
        named = [
            r
            for r, shown_to, shown_at, tracks in answers
            if r == request and track in tracks and shown_to in (user, None) and at <= shown_at + window
        ]
        before = [
            (shown_at, r)
            for r, shown_to, shown_at, tracks in answers
            if shown_to == user and track in tracks and shown_at <= at <= shown_at + window
        ]
        if named or before:
            found.setdefault((named or [max(before)[1]])[0] + track, []).append((kind, ms))
    expected = []
    for request, _, _, tracks in answers:
        for track in tracks:
            kinds = {kind for kind, _ in found.get(request + track, [])}
            known = [ms for _, ms in found.get(request + track, []) if ms is not None]
            expected.append(
                (
                    bool(kinds & set(POSITIVE_EVENTS)),
                    "complete" in kinds,
                    "skip" in kinds,
                    bool(kinds & {"like", "add_to_playlist"}),
                    sum(known) if known else None,
                )
            )
    assert table.select("played", "completed", "skipped", "liked", "ms_played").rows() == expected


def test_read_from_the_journal(engine, journal, make_exposure, make_event):
    log = ExposureLog(engine)
    log.record(make_exposure(request_id="old", at=NOON - DAY), "popular")
    log.record(make_exposure(request_id="new", at=NOON, variant="holdout"), "popular")
    log.close()
    at_us = int(NOON.timestamp() * 1e6) + 1
    journal.append(
        [
            make_event(track_id="t1", at_us=at_us, event="complete", ms_played=7),
            make_event(track_id="t2", at_us=at_us, event="skip", request_id="new"),
        ]
    )
    table = outcomes_since(log, journal, int(NOON.timestamp() * 1e6))
    assert table["request_id"].to_list() == ["new"] * 3
    assert table["completed"].to_list() == [True, False, False]
    assert table["skipped"].to_list() == [False, True, False]
    assert set(table["variant"]) == {"holdout"}
    assert outcomes_since(log, journal, at_us).is_empty()
