"""Tracks that are put while the server runs: durable, recommended at once, laid over every version."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from audotics.domain import Query
from audotics.errors import UnavailableError
from audotics.journal.catalogue import TrackJournal
from audotics.journal.engine import open_engine
from audotics.recommender.recommender import Recommender
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving import live_tracks
from audotics.serving.access import KeyFile, Scope
from audotics.serving.live_tracks import LiveTracks
from audotics.serving.served import Served
from audotics.serving.track_documents import TrackDocument, rows_of
from audotics.slate import SlateConfig
from contract.load import scaled
from contract.planted import genre_of

if TYPE_CHECKING:
    from conftest import Models, OpenApi, StartServer

BEBOP = {"title": "Blow", "artist_id": "a12", "artist": "Band 12", "genres": ["bebop"], "released": "2026"}


def shown(api: TestClient | httpx.Client, user: str, k: int = 20) -> dict[str, str]:
    """Tracks and reasons of a listener's slate."""
    said = api.get(f"/v1/users/{user}/recommendations", params={"k": k}).json()
    assert said["rung"] == "personalised"
    return {track["track_id"]: track["reason"] for track in said["tracks"]}


def soon(holds: Callable[[], bool], what: str, within_s: float = 2.0) -> float:
    """Wait until something holds; the seconds that it took."""
    began = time.perf_counter()
    while not holds():
        assert time.perf_counter() - began < scaled(within_s), what
        time.sleep(0.01)
    return time.perf_counter() - began


@pytest.fixture
def api(open_api: OpenApi) -> TestClient:
    return open_api()


def test_a_track_is_recommended_at_once_to_those_who_play_its_like(api: TestClient) -> None:
    assert "fresh" not in shown(api, "u001")
    answer = api.put("/v1/tracks/fresh", json=BEBOP)
    assert answer.status_code == 201
    assert answer.json() == {"track_id": "fresh", "recommendable": True, "note": live_tracks.OFFERED}
    soon(lambda: "fresh" in shown(api, "u001"), "the cached answer of before hides the track")
    assert shown(api, "u001")["fresh"] in {"new from Band 12", "more bebop"}
    bebop = [f"u{number:03d}" for number in range(1, 90, 3)]
    others = [f"u{number:03d}" for number in range(0, 90, 3)]
    assert sum("fresh" in shown(api, user) for user in bebop) >= 24
    assert sum("fresh" in shown(api, user) for user in others) <= 3


def test_what_is_heard_live_is_not_offered_again(api: TestClient, listener: str) -> None:
    api.put("/v1/tracks/fresh", json=BEBOP)
    for track in ("t030", "t033", "t036"):
        api.post("/v1/events", json={"user_id": listener, "track_id": track})
    soon(lambda: "fresh" in shown(api, listener), "it is offered")
    api.post("/v1/events", json={"user_id": listener, "track_id": "fresh"})
    slate = shown(api, listener)
    assert "fresh" not in slate
    assert sum(genre_of(track) == "bebop" for track in slate) >= 10


def test_similar_tracks_and_a_radio_start_from_it(api: TestClient) -> None:
    assert api.get("/v1/tracks/fresh/similar").status_code == 404
    api.put("/v1/tracks/fresh", json=BEBOP)
    soon(lambda: api.get("/v1/tracks/fresh/similar").status_code == 200, "it is known")
    for kind in ("similar", "radio"):
        tracks = api.get(f"/v1/tracks/fresh/{kind}", params={"k": 8}).json()["tracks"]
        ids = [track["track_id"] for track in tracks]
        assert len(ids) == 8 and "fresh" not in ids
        assert [genre_of(track) for track in ids].count("bebop") >= 7
        assert "goes with Blow by Band 12" in {track["reason"] for track in tracks}


def test_a_track_of_which_nothing_is_said_is_kept_and_not_offered(api: TestClient) -> None:
    for track, document in (("empty", {}), ("blank", {"title": "A", "artist": " ", "genres": [""]})):
        answer = api.put(f"/v1/tracks/{track}", json=document)
        assert answer.status_code == 201
        assert answer.json()["recommendable"] is False
        assert answer.json()["note"] == live_tracks.NOTHING_SAID
    like_nothing = api.put("/v1/tracks/odd", json={"artist": "Nobody Ever", "genres": ["yodel"]}).json()
    assert (like_nothing["recommendable"], like_nothing["note"]) == (False, live_tracks.LIKE_NOTHING)
    soon(lambda: api.get("/v1/tracks/odd/similar").status_code == 200, "it is known")
    everybody = [f"u{number:03d}" for number in range(0, 90, 9)]
    assert not any({"empty", "blank", "odd"} & set(shown(api, user, 50)) for user in everybody)


def test_putting_again_replaces(api: TestClient) -> None:
    assert api.put("/v1/tracks/empty", json={}).status_code == 201
    assert api.put("/v1/tracks/fresh", json=BEBOP).status_code == 201
    soon(lambda: "fresh" in shown(api, "u001"), "it is offered")
    again = api.put(
        "/v1/tracks/fresh", json={**BEBOP, "artist_id": "a22", "artist": "Band 22", "genres": ["cumbia"]}
    )
    assert again.status_code == 200
    soon(lambda: "fresh" in shown(api, "u002"), "to others now")
    assert "fresh" not in shown(api, "u001")


def test_a_known_track_changes_with_the_next_training(api: TestClient) -> None:
    before = shown(api, "u001")
    answer = api.put("/v1/tracks/t001", json={"genres": ["bebop"]})
    assert answer.status_code == 200
    assert answer.json() == {"track_id": "t001", "recommendable": True, "note": live_tracks.KNOWN}
    said = api.get("/v1/users/u001/recommendations", params={"k": 20}).json()
    assert said["served_from"] == "cache"
    assert {track["track_id"] for track in said["tracks"]} == set(before)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"released": "2026-02-30"}, "released"),
        ({"released": "0000"}, "released"),
        ({"released": "May"}, "released"),
        ({"duration_ms": -1}, "duration_ms"),
        ({"duration_ms": 10**18}, "duration_ms"),
        ({"genres": "bebop"}, "genres"),
        ({"label": "Blue"}, "body"),
        ({"feature_tempo": "fast"}, "body"),
        ({"feature_tempo": True}, "body"),
        ({"feature_tempo": 1e39}, "body"),
        ({"feature_tempo": 10**400}, "body"),
    ],
    ids=repr,
)
def test_what_is_no_track_is_refused(api: TestClient, document: dict[str, object], field: str) -> None:
    answer = api.put("/v1/tracks/x", json=document)
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["errors"][0]["field"]
    assert api.get("/v1/tracks/x/similar").status_code == 404


def test_features_and_dates_come_with_it(tmp_path: Path, open_api: OpenApi) -> None:
    document = {**BEBOP, "released": "2026-11-20", "feature_tempo": 120, "tags": ["live", "live"]}
    api = open_api()
    assert api.put("/v1/tracks/a%2Fb", json=document).status_code == 201
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    assert TrackJournal(engine).get("a/b") == document
    engine.dispose()
    (row,) = rows_of({"a/b": TrackDocument.model_validate(document)}).to_dicts()
    assert (row["track_id"], str(row["released"]), row["feature_tempo"]) == ("a/b", "2026-11-20", 120.0)
    assert (row["genres"], row["tags"], row["album"]) == (["bebop"], ["live", "live"], None)
    assert rows_of({}).height == 0


def test_writing_needs_a_key_that_may(open_api: OpenApi, tmp_path: Path) -> None:
    keys = KeyFile(tmp_path / "keys.json")
    reader, writer = keys.create("reader", Scope.READ), keys.create("writer", Scope.WRITE)
    api = open_api(keys=keys.path)
    assert api.put("/v1/tracks/fresh", json=BEBOP).status_code == 401
    for secret, status in ((reader, 403), (writer, 201)):
        headers = {"Authorization": f"Bearer {secret}"}
        assert api.put("/v1/tracks/fresh", json=BEBOP, headers=headers).status_code == status


def test_a_new_version_has_it_too(open_api: OpenApi, own_models: Models) -> None:
    api = open_api(models=own_models.folder)
    api.put("/v1/tracks/fresh", json=BEBOP)
    soon(lambda: "fresh" in shown(api, "u001"), "it is offered")
    Registry(own_models.folder).set_alias(CHAMPION, own_models.second)
    listeners = [f"u{number:03d}" for number in range(1, 90, 3)]

    def answers() -> list[dict[str, object]]:
        return [api.get(f"/v1/users/{user}/recommendations", params={"k": 20}).json() for user in listeners]

    soon(lambda: answers()[0]["model_version"] == own_models.second, "the other version serves", 5)
    held = ["fresh" in {track["track_id"] for track in said["tracks"]} for said in answers()]
    assert np.mean(held) > 0.5


def test_a_restarted_server_remembers(open_api: OpenApi, models: Models, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}")
    TrackJournal(engine).put("fresh", BEBOP)
    TrackJournal(engine).put("broken", {"released": 7})
    engine.dispose()
    api = open_api()
    soon(lambda: "fresh" in shown(api, "u001"), "it is offered")
    assert api.get("/v1/tracks/broken/similar").status_code == 404
    assert api.get("/health/ready").json()["status"] == "ok"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[TrackJournal]:
    engine = open_engine(f"sqlite:///{tmp_path / 'live.db'}")
    yield TrackJournal(engine)
    engine.dispose()


@pytest.fixture
def served(models: Models) -> Served:
    return Served.load(models.folder, models.first, SlateConfig())


def document(**more: object) -> TrackDocument:
    return TrackDocument.model_validate({**BEBOP, **more})


def test_processes_that_read_the_same_journal_lay_the_same(journal: TrackJournal, served: Served) -> None:
    one, other = LiveTracks(journal), LiveTracks(journal)
    assert one.over(served) is served
    one.put("a", document(), served)
    other.put("b", document(), served)
    one.follow()
    mine, theirs = one.over(served), other.over(served)
    assert mine.cache_version == theirs.cache_version == f"{served.version}+{one.revision}"
    assert mine.recommender.tracks.ids[-2:] == theirs.recommender.tracks.ids[-2:] == ("a", "b")
    assert mine.before == served.cache_version == served.version
    assert one.over(mine) is mine


def test_tracks_that_the_version_knows_drop_out(journal: TrackJournal, served: Served) -> None:
    live = LiveTracks(journal)
    assert not live.put("t001", document(), served).is_new
    assert live.over(served) is served
    live.put("a", document(), served)
    laid = live.over(served)
    live.put("t002", document(), served)
    assert live.over(laid) is laid, "what changes of a known track ends no answer's life"
    # The next version knows the track: nothing is left to lay over it.
    wiser = Served(laid.recommender.with_rules(SlateConfig()), "next", laid.trained_until, laid.popular, {})
    wiser.recommender._base = None
    assert live.over(wiser) is wiser


def test_a_version_that_offers_no_new_tracks_says_so(journal: TrackJournal, served: Served) -> None:
    bare = served.recommender
    bare.unheard = bare.unheard.without_new
    live = LiveTracks(journal)
    standing = live.put("a", document(), served)
    assert (standing.is_new, standing.recommendable, standing.note) == (True, False, live_tracks.NO_WAY)
    laid = live.over(served)
    assert "a" in laid.recommender.tracks
    slates = laid.recommender.recommend([Query(user_id=f"u{number:03d}", k=40) for number in range(90)])
    assert not any("a" in slate.track_ids for slate in slates)


def test_tracks_that_cannot_be_laid_leave_the_version_as_it_is(
    journal: TrackJournal, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveTracks(journal)
    live.put("a", document(), served)
    tried: list[int] = []

    def broken(self: Recommender, rows: object) -> Recommender:
        tried.append(1)
        raise ZeroDivisionError("at all")

    with monkeypatch.context() as patched:
        patched.setattr(Recommender, "with_tracks", broken)
        assert live.over(served) is served
        assert live.over(served) is served
    assert "at all" in live.trouble and len(tried) == 1
    live.put("b", document(), served)
    assert live.over(served).overlay == live.revision
    assert live.trouble == ""


def test_a_scorer_that_is_away_keeps_no_track_out(
    journal: TrackJournal, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveTracks(journal)
    live.put("a", document(), served)

    def away(self: Recommender, queries: object, since: object = None) -> None:
        raise UnavailableError("the scorer is away")

    monkeypatch.setattr(Recommender, "recommend", away)
    assert live.over(served).overlay == live.revision


def test_what_is_kept_is_acknowledged_though_the_journal_goes_away_then(
    journal: TrackJournal, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = LiveTracks(journal)
    read = TrackJournal.after

    def away(self: TrackJournal, seq: int) -> None:
        raise UnavailableError("the journal is away")

    with monkeypatch.context() as patched:
        patched.setattr(TrackJournal, "after", away)
        assert live.put("a", document(), served).is_new
    assert read(journal, 0) and live.follow() == 1


def test_a_burst_is_laid_over_few_times(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    laid: list[int] = []
    lay = Recommender.with_tracks

    def counted(self: Recommender, rows: object) -> Recommender:
        laid.append(1)
        return lay(self, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(Recommender, "with_tracks", counted)
    began = time.perf_counter()
    for number in range(40):
        assert api.put(f"/v1/tracks/burst-{number}", json=BEBOP).status_code == 201
    soon(lambda: api.get("/v1/tracks/burst-39/similar").status_code == 200, "the last one is known")
    assert len(laid) <= 2 + (time.perf_counter() - began) / 0.5
    assert len({track for track in shown(api, "u001", 100) if track.startswith("burst-")}) >= 5


def test_a_track_takes_effect_in_every_worker(start_server: StartServer, models: Models) -> None:
    server = start_server(models, workers=2, deadline_ms=1000)
    with httpx.Client(base_url=server.url) as client:
        assert client.put("/v1/tracks/fresh", json=BEBOP).status_code == 201

        def everywhere() -> bool:
            """Fresh connections, some of which go to the other worker."""
            answers = [server.get("/v1/tracks/fresh/similar")[0] for _ in range(16)]
            return all(status == 200 for status in answers)

        took = soon(everywhere, "a worker does not know the track")
        print(f"known in every worker after {took:.3f} s")
        assert "fresh" in shown(client, "u001")
