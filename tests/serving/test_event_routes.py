"""Events over HTTP: all kinds of right and wrong, and what is told of each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from audotics.serving.schemas import MAX_EVENTS


def event(listener: str, track: str = "t001", **more: object) -> dict[str, object]:
    return {"user_id": listener, "track_id": track, **more}


def tell(api: TestClient, events: object) -> dict[str, object]:
    answer = api.post("/v1/events", json=events)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(said: dict[str, object]) -> tuple[object, object, object]:
    return said["accepted"], said["duplicates"], said["rejected"]


def test_one_event_a_list_and_a_named_list(api: TestClient, listener: str):
    assert counts(tell(api, event(listener))) == (1, 0, 0)
    assert counts(tell(api, [event(listener), event(listener)])) == (2, 0, 0)
    assert counts(tell(api, {"events": [event(listener)]})) == (1, 0, 0)
    assert counts(tell(api, [])) == (0, 0, 0)
    assert counts(tell(api, {"events": []})) == (0, 0, 0)


def test_events_are_in_the_journal_when_they_are_acknowledged(open_api, listener: str):
    api = open_api()
    told = event(
        listener,
        event="complete",
        event_id="one",
        timestamp="2026-11-01T10:00:00+02:00",
        ms_played=1234,
        session_id="s",
        device="phone",
        country="DE",
        context_mood="calm",
        request_id="r",
    )
    tell(api, told)
    service = api.app._app.state.service
    (recorded,) = service.journal.of_listener(listener)
    kept = recorded.event
    assert kept.at_us == int(datetime(2026, 11, 1, 8, tzinfo=UTC).timestamp() * 1e6)
    assert (kept.event_id, kept.event, kept.ms_played) == ("one", "complete", 1234)
    assert (kept.session_id, kept.device, kept.country, kept.request_id) == ("s", "phone", "DE", "r")
    assert kept.context == {"context_mood": "calm"}


def test_what_is_wrong_is_told_by_place_and_the_rest_counts(api: TestClient, listener: str):
    said = tell(
        api,
        [
            event(listener),
            {"user_id": listener},
            event(listener, event="applaud"),
            event(listener, timestamp="yesterday"),
            event(listener, ms_played=-1),
            event(listener, colour="red"),
            event(listener, context_mood=3),
            event("", track="t1"),
            7,
            event(listener, timestamp=(datetime.now(UTC) + timedelta(hours=1)).isoformat()),
            event(listener, timestamp="1989-12-31"),
            event(listener, timestamp="0001-01-01T00:00:00+14:00"),
            event(listener, timestamp="9999-12-31T23:59:59-12:00"),
            event(listener),
        ],
    )
    assert counts(said) == (2, 0, 12)
    errors = said["errors"]
    assert [error["index"] for error in errors] == [*range(1, 13)]
    fields = [error["field"] for error in errors]
    assert fields[:4] == ["track_id", "event", "timestamp", "ms_played"]
    assert fields[6] == "user_id"
    assert fields[8:] == ["timestamp"] * 4
    assert "colour" in errors[4]["reason"]
    assert "context_mood" in errors[5]["reason"]
    assert "future" in errors[8]["reason"]


def test_if_nothing_is_valid_the_request_is_not(api: TestClient, listener: str):
    refused = api.post("/v1/events", json=[event(listener, event="applaud"), {}])
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert [error["index"] for error in refused.json()["errors"]] == [0, 1]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"play",
        b'{"user_id": "u", ',
        b"\xff\xfe",
        b'{"events": ' + b"[" * 100_000,
        b"[" * 100_000,
        b'{"ms_played": ' + b"9" * 5000 + b"}",
        b'"\\ud800"',
    ],
    ids=["empty", "a word", "cut off", "no UTF-8", "deep", "deeper", "digits", "half a character"],
)
def test_what_is_no_json_is_refused(api: TestClient, body: bytes):
    refused = api.post("/v1/events", content=body)
    assert refused.status_code == 400
    assert "not JSON" in refused.json()["detail"]


@pytest.mark.parametrize(
    "body", ["null", "7", '"play"', "true", "[[]]", "[null]", '{"events": 5}', "{}", "[NaN]"]
)
def test_json_that_is_no_event_is_refused_by_place(api: TestClient, body: str):
    refused = api.post("/v1/events", content=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["index"] == 0


def test_numbers_beyond_64_bits_are_told_by_place(api: TestClient, listener: str):
    row = json.dumps(event(listener))[:-1] + ', "ms_played": 123456789012345678901234567890}'
    refused = api.post("/v1/events", content='{"events": [' + row + "]}")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "ms_played"


def test_an_event_counts_once_whatever_its_sender_repeats(api: TestClient, listener: str):
    named = event(listener, event_id=f"{listener}-1")
    assert counts(tell(api, named)) == (1, 0, 0)
    assert counts(tell(api, [named, named])) == (0, 2, 0)
    other = event(listener, event_id=f"{listener}-2")
    assert counts(tell(api, [other, named, other])) == (1, 2, 0)
    assert counts(tell(api, [event(listener), event(listener)])) == (2, 0, 0)


def test_a_thousand_events_in_one_request_and_not_one_more(api: TestClient, listener: str):
    rows = [event(listener, event_id=f"{listener}-{number}") for number in range(MAX_EVENTS)]
    assert counts(tell(api, rows)) == (MAX_EVENTS, 0, 0)
    for body in ([*rows, rows[0]], {"events": [*rows, rows[0]]}, [*rows, {}]):
        refused = api.post("/v1/events", json=body)
        assert refused.status_code == 400
        assert str(MAX_EVENTS) in refused.json()["detail"]


def test_a_body_beyond_the_limit_is_refused_announced_or_not(api: TestClient, listener: str):
    body = json.dumps([event(listener, context_note="x" * 200)] * 5000).encode()
    assert len(body) > 2**20
    announced = api.post("/v1/events", content=body)
    streamed = api.post("/v1/events", content=iter([body[:1000], body[1000:]]))
    for refused in (announced, streamed):
        assert refused.status_code == 413
        assert refused.headers["content-type"] == "application/problem+json"
    assert api.get("/health/live").status_code == 200


def reactions(api: TestClient, listener: str) -> list[tuple[str, str]]:
    service = api.app._app.state.service
    profile = service.profiles.read(listener, service.models.current.trained_until)
    return [(one.track_id, one.event) for one in profile.reactions]


def test_events_land_at_their_own_time(api: TestClient, listener: str):
    now = datetime.now(UTC)
    for minutes, track in ((5, "t002"), (9, "t001"), (1, "t003")):
        tell(api, event(listener, track, timestamp=(now - timedelta(minutes=minutes)).isoformat()))
    assert [track for track, _ in reactions(api, listener)] == ["t001", "t002", "t003"]


def test_events_from_before_the_training_ended_are_kept_but_not_news(api: TestClient, listener: str):
    assert counts(tell(api, event(listener, timestamp="2020-01-01"))) == (1, 0, 0)
    assert reactions(api, listener) == []


def test_a_clock_a_little_ahead_counts_as_now(api: TestClient, listener: str):
    ahead = datetime.now(UTC) + timedelta(minutes=4)
    tell(api, [event(listener, "t001", timestamp=ahead.isoformat()), event(listener, "t002")])
    service = api.app._app.state.service
    times = [one.event.at_us / 1e6 for one in service.journal.of_listener(listener)]
    assert max(times) <= datetime.now(UTC).timestamp()


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "iso", "zone", "no zone"])
def test_times_are_read_in_every_usual_form(api: TestClient, listener: str, form: str):
    at = datetime(2026, 11, 20, 12, tzinfo=UTC)
    told = {
        "seconds": at.timestamp(),
        "milliseconds": at.timestamp() * 1000,
        "iso": "2026-11-20T12:00:00Z",
        "zone": "2026-11-20T17:30:00+05:30",
        "no zone": "2026-11-20T12:00:00",
    }[form]
    tell(api, event(listener, timestamp=told))
    service = api.app._app.state.service
    (recorded,) = service.journal.of_listener(listener)
    assert recorded.event.at_us == int(at.timestamp() * 1e6)
