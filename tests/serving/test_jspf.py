"""Playlists in and out as JSPF, and titles that say where a playlist starts."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from audotics.serving.jspf import MEDIA_TYPE, JspfPlaylist, read_tracks
from audotics.serving.titles import tracks_for_title
from contract.planted import genre_of
from contract.small_version import small_recommender

JSPF = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}


def playlist(*tracks: object, **more: object) -> dict[str, object]:
    return {"playlist": {**more, "track": list(tracks)}}


def go_on(
    api: TestClient, body: object, path: str = "/v1/playlists/continue", **headers: str
) -> dict[str, object]:
    answer = api.post(path, content=json.dumps(body), headers={"Content-Type": "application/json", **headers})
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(said: dict[str, object]) -> list[str]:
    return [track["track_id"] for track in said["tracks"]]


@pytest.mark.parametrize(
    "track",
    [
        {"identifier": ["t060"]},
        {"identifier": "t060"},
        {"identifier": ["https://example.org/recording/t060"]},
        {"identifier": ["urn:nobody:knows", "https://example.org/x/t060"]},
        {"location": ["file:///music/t060"]},
        {"title": "Song 60", "location": "t060", "extension": {"https://x": [1]}},
    ],
)
def test_tracks_are_found_by_id_or_by_the_last_part_of_a_uri(api: TestClient, track: dict[str, object]):
    plain = shown(go_on(api, {"tracks": ["t060"]}))
    assert shown(go_on(api, playlist(track))) == plain


def test_a_playlist_goes_on_without_repeating_itself(api: TestClient):
    so_far = [f"t{number:03d}" for number in range(60, 66)]
    next_ones = shown(go_on(api, {"tracks": so_far, "title": "ambient", "k": 15}))
    assert not set(next_ones) & set(so_far)
    assert [genre_of(track) for track in next_ones].count("cumbia") >= 10


def test_an_answer_as_jspf_can_be_played_and_sent_back(api: TestClient):
    first = go_on(api, playlist({"identifier": ["t000"]}, title="Mine"), "/v1/playlists/continue?k=4", **JSPF)
    written = first["playlist"]
    assert (written["title"], written["creator"], len(written["track"])) == ("Mine", "Audotics", 4)
    track = written["track"][0]
    number = int(track["identifier"][0][1:])
    assert (track["title"], track["creator"]) == (f"Song {number}", f"Band {number // 3}")
    assert track["annotation"]
    names = {name for one in written["meta"] for name in one}
    assert {"urn:audotics:model_version", "urn:audotics:request_id", "urn:audotics:rung"} <= names
    second = go_on(api, first, "/v1/playlists/continue?k=4", **JSPF)["playlist"]
    ids = [{one["identifier"][0] for one in part["track"]} for part in (written, second)]
    assert not ids[0] & ids[1]


def test_uris_are_answered_with_uris(api: TestClient):
    sent = playlist({"identifier": ["https://example.org/track/t000"]})
    for track in go_on(api, sent, **JSPF)["playlist"]["track"]:
        assert track["identifier"][0].startswith("https://example.org/track/t0")


def test_either_form_may_be_asked_of_either(api: TestClient):
    assert "tracks" in go_on(api, playlist({"identifier": "t000"}))
    assert "playlist" in go_on(api, {"tracks": ["t000"], "k": 3}, Accept=f"text/html, {MEDIA_TYPE};q=0.9")


def test_an_answer_as_jspf_is_logged_as_shown(open_api):
    api = open_api()
    said = go_on(api, {"tracks": ["t000"], "k": 3}, Accept=MEDIA_TYPE)["playlist"]
    (request_id,) = (
        one["urn:audotics:request_id"] for one in said["meta"] if "urn:audotics:request_id" in one
    )
    service = api.app._app.state.service
    service.exposures.flush()
    exposure = service.exposures.of_request(request_id)
    assert list(exposure.track_ids) == [track["identifier"][0] for track in said["track"]]


@pytest.mark.parametrize(
    ("title", "genre"),
    [
        ("Cumbia for the kitchen", "cumbia"),
        ("late night BEBOP!", "bebop"),
        ("the best of Band 5", "ambient"),
        ("band 12 & Band 13", "bebop"),
    ],
)
def test_a_title_alone_starts_a_playlist(api: TestClient, title: str, genre: str):
    for body in (
        {"title": title},
        {"playlist": {"title": title}},
        playlist({"identifier": "x"}, title=title),
    ):
        tracks = shown(go_on(api, body))
        assert [genre_of(track) for track in tracks].count(genre) >= 7, tracks


def test_what_a_title_names_may_be_in_the_playlist_itself(api: TestClient):
    artists = [int(track[1:]) // 3 for track in shown(go_on(api, {"title": "All of Band 5", "k": 30}))]
    assert artists.count(5) == 3


@pytest.mark.parametrize("title", ["", "   ", "Sunday", "!!!", "bandband 5x", "日曜日", "a" * 256])
def test_a_title_that_names_nobody_gives_what_is_popular(api: TestClient, title: str):
    assert shown(go_on(api, {"title": title})) == shown(go_on(api, {}))


def test_names_are_found_whole_and_the_longest_first():
    recommender = small_recommender()
    assert {genre_of(track) for track in tracks_for_title(recommender, "ambient bebop")} == {
        "ambient",
        "bebop",
    }
    assert {int(track[1:]) // 3 for track in tracks_for_title(recommender, "Band 10")} == {10}
    assert tracks_for_title(recommender, "Band 100") == ()
    listeners = recommender.catalogue.listeners
    order = [listeners[recommender.tracks.index(track)] for track in tracks_for_title(recommender, "cumbia")]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"playlist": []}, "body.playlist"),
        ({"playlist": {"track": {}}}, "body.playlist.track"),
        ({"playlist": {"track": [7]}}, "body.playlist.track.0"),
        ({"playlist": {"track": [{"identifier": 7}]}}, "body.playlist.track.0.identifier"),
        (playlist(*[{"identifier": "t000"}] * 1001), "body.playlist.track"),
        ({"tracks": ["t000"] * 1001}, "body.tracks"),
        ({"tracks": ["t000"], "k": 0}, "body.k"),
        ([], "body"),
    ],
)
def test_what_is_neither_form_is_refused_by_field(api: TestClient, body: object, field: str):
    refused = api.post("/v1/playlists/continue", json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == field
    assert api.post("/v1/playlists/continue", content=b"{").status_code == 400


@given(st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text))
def test_any_id_can_be_part_of_a_uri(track_id: str):
    uri = "https://example.org/a/" + quote(track_id, safe="", errors="replace")
    found = read_tracks(JspfPlaylist.model_validate({"track": [{"identifier": uri}]}), {track_id})
    readable = track_id.encode("utf-8", errors="replace").decode() == track_id
    assert found.track_ids == ((track_id,) if readable else ())
