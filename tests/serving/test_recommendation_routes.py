"""Recommendations over HTTP: every wish that a query can hold, and ids that are hard to spell."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from audotics.domain import Context, Query
from audotics.recommender import bundle
from audotics.registry import Registry
from contract.planted import genre_of

ODD_IDS = (
    "Zoë",
    "two words",
    "a/b",
    "../etc",
    'say "hi"',
    "it's",
    "100%",
    "?a=b&c#d",
    "日本",
    "new\nline",
    "<b>",
    "a+b",
)


def test_the_answer_over_http_is_that_of_the_recommender(api: TestClient, models):
    offline = bundle.load(Registry(models.folder).folder(models.first))
    queries = [Query(user_id=f"u{number:03d}", k=20, context=Context()) for number in (0, 17, 88)]
    queries += [Query(user_id="nobody", k=20)]
    for slate in offline.recommend(queries):
        said = api.get(f"/v1/users/{slate.user_id}/recommendations", params={"k": 20}).json()
        assert [track["track_id"] for track in said["tracks"]] == list(slate.track_ids)
        assert [track["score"] for track in said["tracks"]] == pytest.approx(slate.scores.tolist())
        assert [track["reason"] for track in said["tracks"]] == list(slate.reasons)
        assert [track["source"] for track in said["tracks"]] == list(slate.sources)


def test_an_answer_says_how_it_came_about(api: TestClient, models):
    said = api.get("/v1/users/u003/recommendations", params={"k": 4}).json()
    assert said["user_id"] == "u003"
    assert said["model_version"] == models.first
    assert (said["rung"], said["served_from"], said["degraded"]) == ("personalised", "computed", [])
    assert [track["rank"] for track in said["tracks"]] == [1, 2, 3, 4]
    assert said["tracks"][0]["reason"]
    again = api.get("/v1/users/u003/recommendations", params={"k": 4}).json()
    assert again["served_from"] == "cache"
    assert again["tracks"] == said["tracks"]
    assert again["request_id"] != said["request_id"]


def test_reasons_are_left_out_on_request(api: TestClient):
    said = api.get("/v1/users/u003/recommendations", params={"explain": False}).json()
    assert all("reason" not in track for track in said["tracks"])


@pytest.mark.parametrize("k", [1, 2, 500])
def test_k_tracks_are_given_as_far_as_there_are_any(api: TestClient, k: int):
    tracks = api.get("/v1/users/u004/recommendations", params={"k": k}).json()["tracks"]
    assert len({track["track_id"] for track in tracks}) == len(tracks) == min(k, len(tracks))
    assert len(tracks) == k or len(tracks) >= 30


@pytest.mark.parametrize("k", ["0", "-1", "501", "1.5", "many", "", "1e3"])
def test_k_out_of_bounds_is_refused_by_name(api: TestClient, k: str):
    for path in ("/v1/users/u004/recommendations", "/v1/tracks/t001/similar", "/v1/tracks/t001/radio"):
        refused = api.get(path, params={"k": k})
        assert refused.status_code == 422, path
        assert refused.headers["content-type"] == "application/problem+json"
        (error,) = refused.json()["errors"]
        assert error["field"] == "query.k"
        assert error["reason"]


def test_modes_say_whether_heard_tracks_may_appear(api: TestClient, models):
    offline = bundle.load(Registry(models.folder).folder(models.first))
    row = offline.histories.track_index[offline.histories.indptr[5] : offline.histories.indptr[6]]
    heard = {offline.tracks.ids[track] for track in row.tolist()}

    def slate(mode: str) -> set[str]:
        said = api.get("/v1/users/u005/recommendations", params={"mode": mode, "k": 12}).json()
        return {track["track_id"] for track in said["tracks"]}

    assert not slate("discover") & heard
    assert slate("familiar") <= heard
    assert slate("mix") & heard
    assert api.get("/v1/users/u005/recommendations", params={"mode": "loud"}).status_code == 422


def test_excluded_tracks_stay_out(api: TestClient):
    path = "/v1/users/u006/recommendations"
    first = [track["track_id"] for track in api.get(path, params={"k": 3}).json()["tracks"]]
    left = api.get(path, params={"k": 10, "exclude": first[:2]}).json()["tracks"]
    shown = {track["track_id"] for track in left}
    assert not shown & set(first[:2])
    assert first[2] in shown


def test_three_favourite_artists_make_a_list_at_once(api: TestClient):
    for artists in (["a10", "a11", "a12"], ["Band 10", "band 11", " BAND 12 "]):
        said = api.post("/v1/recommendations", json={"artists": artists, "k": 10}).json()
        genres = [genre_of(track["track_id"]) for track in said["tracks"]]
        assert genres.count("bebop") >= 7, genres


def test_a_history_alone_is_enough(api: TestClient):
    said = api.post("/v1/recommendations", json={"history": ["t060", "t061", "t065"], "k": 10}).json()
    assert said["user_id"] is None
    genres = [genre_of(track["track_id"]) for track in said["tracks"]]
    assert genres.count("cumbia") >= 7, genres
    assert not {"t060", "t061", "t065"} & {track["track_id"] for track in said["tracks"]}


def test_a_group_hears_something_of_everybody(api: TestClient):
    wish = {"group": ["u000", "u001"], "strategy": "turns", "k": 10}
    said = api.post("/v1/recommendations", json=wish).json()
    genres = {genre_of(track["track_id"]) for track in said["tracks"]}
    assert {"ambient", "bebop"} <= genres


def test_never_and_not_until(api: TestClient):
    def artists(blocked: list[dict[str, str]]) -> set[int]:
        wish = {"user_id": "u000", "k": 20, "blocked": blocked}
        tracks = api.post("/v1/recommendations", json=wish).json()["tracks"]
        return {int(track["track_id"][1:]) // 3 for track in tracks}

    one = min(artists([]))
    assert one not in artists([{"artist_id": f"a{one}"}])
    assert one not in artists([{"artist_id": f"a{one}", "until": "2999-01-01T00:00:00Z"}])
    assert one in artists([{"artist_id": f"a{one}", "until": "2020-01-01"}])


def test_rules_and_dials_of_one_request(api: TestClient):
    wish = {"user_id": "u001", "k": 12, "rules": {"artist_cap": 1}}
    tracks = api.post("/v1/recommendations", json=wish).json()["tracks"]
    artists = [int(track["track_id"][1:]) // 3 for track in tracks]
    assert len(artists) == len(set(artists))
    familiar = api.post("/v1/recommendations", json={"user_id": "u001", "k": 5, "familiarity": 1}).json()
    fresh = api.post("/v1/recommendations", json={"user_id": "u001", "k": 5, "familiarity": 0}).json()
    shown = [{track["track_id"] for track in said["tracks"]} for said in (familiar, fresh)]
    assert not shown[0] & shown[1]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"k": 501}, "body.k"),
        ({"kk": 5}, "body.kk"),
        ({"history": "t1"}, "body.history"),
        ({"user_id": ""}, "body.user_id"),
        ({"user_id": "x" * 257}, "body.user_id"),
        ({"user_id": "a\0b"}, "body.user_id"),
        ({"blocked": [{}]}, "body.blocked.0"),
        ({"familiarity": 1.1}, "body.familiarity"),
        ({"strategy": "fight"}, "body.strategy"),
    ],
)
def test_a_wish_that_is_not_valid_is_told_by_field(api: TestClient, wish: dict[str, object], field: str):
    refused = api.post("/v1/recommendations", json=wish)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    said = refused.json()
    assert said["title"] == "Unprocessable Entity" or "Content" in said["title"]
    assert field in [error["field"] for error in said["errors"]]


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        ({"group": ["u000"]}, "group"),
        ({"rules": {"no_such_rule": 1}}, "no_such_rule"),
        ({"rules": {"artist_cap": -1}}, "artist_cap"),
        ({"weights": {"applause": 1.0}}, "applause"),
        ({"surface": "no-such-surface"}, "no-such-surface"),
    ],
)
def test_a_wish_that_the_recommender_refuses_is_a_bad_request(
    api: TestClient, wish: dict[str, object], word: str
):
    refused = api.post("/v1/recommendations", json=wish)
    assert refused.status_code == 400
    assert word in refused.json()["detail"]


def test_similar_tracks_and_radio(api: TestClient):
    similar = api.get("/v1/tracks/t070/similar", params={"k": 10}).json()["tracks"]
    assert "t070" not in {track["track_id"] for track in similar}
    assert [genre_of(track["track_id"]) for track in similar].count("cumbia") >= 7
    radio = api.get("/v1/tracks/t070/radio", params={"k": 12, "user_id": "u002"}).json()["tracks"]
    artists = [int(track["track_id"][1:]) // 3 for track in radio]
    assert max(artists.count(artist) for artist in artists) <= 3
    for kind in ("similar", "radio"):
        unknown = api.get(f"/v1/tracks/t999/{kind}")
        assert unknown.status_code == 404
        assert "t999" in unknown.json()["detail"]


@pytest.mark.parametrize("user_id", ODD_IDS)
def test_ids_are_opaque_text(api: TestClient, user_id: str):
    path = f"/v1/users/{quote(user_id, safe='')}/recommendations"
    event = {"user_id": user_id, "track_id": user_id, "event": "play"}
    assert api.post("/v1/events", json=event).json()["accepted"] == 1
    said = api.get(path, params={"exclude": [user_id, "t001"]}).json()
    assert said["user_id"] == user_id
    assert len(said["tracks"]) == 10
    unknown = api.get(f"/v1/tracks/{quote(user_id, safe='')}/similar")
    assert unknown.status_code == 404
    assert repr(user_id) in unknown.json()["detail"]


def test_an_id_has_256_bytes_at_most(api: TestClient):
    fits, too_long = "é" * 128, "é" * 129
    assert api.get(f"/v1/users/{quote(fits)}/recommendations").json()["user_id"] == fits
    refused = api.get(f"/v1/users/{quote(too_long)}/recommendations")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "path.user_id"


def test_unknown_paths_and_methods_are_problem_documents(api: TestClient):
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/events", 403),
        ("PUT", "/metrics", 405),
    ):
        refused = api.request(method, path)
        assert refused.status_code == status, path
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["status"] == status
