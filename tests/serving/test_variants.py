"""Champion and challenger side by side in one server: who gets which, what answers and the log say."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from audotics.experiments.arms import arms_of
from audotics.experiments.assignment import Holdout
from audotics.experiments.definition import Definition, Experiment
from audotics.experiments.interleaving import credit
from audotics.experiments.store import ExperimentStore
from audotics.experiments.tables import prepare_experiments
from audotics.journal import ExposureLog, open_engine
from audotics.journal.outcomes import outcomes_since
from audotics.registry import Registry
from audotics.serving.access import KeyFile, Scope
from audotics.serving.variants import POLL_S
from contract.services import wait_until

LISTENERS = [f"u{number:03d}" for number in range(60)]


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'journal.db'}"


@pytest.fixture
def store(database: str) -> ExperimentStore:
    engine = open_engine(database, timeout_s=10)
    prepare_experiments(engine)
    return ExperimentStore(engine, "test")


@pytest.fixture
def start(store: ExperimentStore) -> Callable[..., Experiment]:
    """Creates and starts an experiment of two halves; fields of the second arm and others as given."""

    def begin(new: dict[str, Any], name: str = "ranker", **more: Any) -> Experiment:
        arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, **new}]
        store.create(Definition.parse({"name": name, "arms": arms, **more}))
        return store.start(name)

    return begin


@pytest.fixture
def versions(store: ExperimentStore, models: Any) -> Callable[..., Experiment]:
    """Starts an experiment of the two versions."""

    def begin(**more: Any) -> Experiment:
        arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": models.second}]
        store.create(Definition.parse({"name": "ranker", "arms": arms, **more}))
        return store.start("ranker", Registry(models.folder).resolve)

    return begin


def ask(api: TestClient, listener: str, **parameters: Any) -> dict[str, Any]:
    answer = api.get(f"/v1/users/{listener}/recommendations", params=parameters)
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


def tracks(said: dict[str, Any]) -> list[str]:
    return [track["track_id"] for track in said["tracks"]]


def exposures(api: TestClient) -> pl.DataFrame:
    log: ExposureLog = api.app.service.exposures  # type: ignore[attr-defined]
    log.flush()
    return pl.concat(log.frames())


def test_two_versions_answer_side_by_side(open_api, models, versions, store) -> None:
    versions()
    assignment = store.snapshot().assignment()
    api = open_api()
    of_arm = {"control": models.first, "new": models.second}
    seen = Counter()
    for listener in LISTENERS:
        said = ask(api, listener)
        numbers = assignment.arm_numbers(assignment.experiments[0], pl.Series([listener]))
        arm = ("control", "new")[int(numbers[0])]
        assert said["variant"] == f"ranker:{arm}"
        assert said["model_version"] == of_arm[arm]
        assert said["rung"] == "personalised"
        seen[arm] += 1
    assert min(seen.values()) > 15
    log = exposures(api)
    assert log.group_by("variant", "model_version").len().height == 2
    assert set(log["rung"]) == {"personalised"}


def test_an_answer_from_the_cache_keeps_its_label_and_is_logged_again(open_api, versions, store) -> None:
    versions()
    api = open_api()
    first, second = ask(api, "u001"), ask(api, "u001")
    assert second["served_from"] == "cache"
    assert first["variant"] == second["variant"] != ""
    assert tracks(first) == tracks(second)
    log = exposures(api)
    assert log["request_id"].to_list() == [first["request_id"], second["request_id"]]
    assert log["propensities"].to_list()[0] == log["propensities"].to_list()[1]


def test_the_cache_is_parted_by_variant(open_api, start, store) -> None:
    """When an experiment stops, its cached answers are nobody's any more."""
    start({"rules": {"artist_cap": 1}})
    api = open_api()
    inside = {listener: ask(api, listener) for listener in LISTENERS[:10]}
    store.stop("ranker")
    wait_until(lambda: ask(api, "u001")["variant"] == "", "the server hears of the stop")
    for listener, said in inside.items():
        after = ask(api, listener)
        assert after["variant"] == ""
        if said["variant"] == "ranker:control":
            assert tracks(after) == tracks(said)


def test_an_arm_changes_rules_and_parameters(open_api, start, store, listener) -> None:
    start({"rules": {"artist_cap": 1}, "familiarity": 0.5}, overrides={"u001": "new", "u002": "control"})
    api = open_api()

    def artists(said: dict[str, Any]) -> list[int]:
        return [int(track[1:]) // 3 for track in tracks(said)]

    capped, plain = (artists(ask(api, who, k=20)) for who in ("u001", "u002"))
    assert len(set(capped)) == len(capped)
    assert len(set(plain)) < len(plain)


def test_exploration_of_an_arm_logs_its_propensities(open_api, start, store) -> None:
    start({"rules": {"explore": 0.5, "explore_places": [2, 4]}}, kind="bandit")
    api = open_api()
    for listener in LISTENERS:
        ask(api, listener, k=5)
    log = exposures(api).with_columns(p=pl.col("propensities").list.get(1))
    by_arm = {variant: set(group["p"]) for (variant,), group in log.group_by("variant")}
    assert by_arm["ranker:control"] == {1.0}
    assert {round(p, 6) for p in by_arm["ranker:new"]} > {0.5}
    assert all(p < 1 for p in by_arm["ranker:new"])


def test_anonymous_histories_groups_and_radio_take_no_part(open_api, start, store) -> None:
    start({"rules": {"artist_cap": 1}})
    store.set_holdout(Holdout(share=10_000))
    api = open_api()
    asked = [
        api.post("/v1/recommendations", json={"history": ["t001"]}),
        api.post("/v1/recommendations", json={"group": ["u001", "u002"]}),
        api.post("/v1/recommendations", json={"user_id": "u001", "artists": ["a1"]}),
        api.get("/v1/tracks/t001/radio", params={"user_id": "u001"}),
        api.get("/v1/tracks/t001/similar"),
    ]
    assert [answer.json()["variant"] for answer in asked] == [""] * len(asked)


def test_the_holdout_gets_what_is_popular(open_api, versions, store) -> None:
    versions()
    store.set_holdout(Holdout(share=10_000))
    api = open_api()
    said = [ask(api, listener) for listener in LISTENERS[:5]]
    assert {(one["variant"], one["rung"]) for one in said} == {("holdout", "popular")}
    assert set(exposures(api)["variant"]) == {"holdout"}


def test_targeting_by_country_and_newness(open_api, start, store, listener) -> None:
    since = datetime.now(UTC) - timedelta(days=7)
    start(
        {"rules": {"artist_cap": 1}},
        targeting={"countries": ["DE"], "new_since": since.isoformat()},
    )
    api = open_api()
    assert ask(api, listener, country="DE")["variant"] != "", "nobody ever saw them before"
    assert ask(api, listener, country="FR")["variant"] == ""
    assert ask(api, "u001", country="DE")["variant"] == "", "training knows them"
    recently = (since + timedelta(days=1)).isoformat()
    assert ask(api, "u001", country="DE", signed_up=recently)["variant"] != ""
    long_ago = (since - timedelta(days=1)).isoformat()
    assert ask(api, listener, country="DE", signed_up=long_ago)["variant"] == ""
    body = {"user_id": "u001", "country": "DE", "signed_up": recently}
    assert api.post("/v1/recommendations", json=body).json()["variant"] != ""


def test_an_interleaved_slate_says_whose_track_each_is(open_api, models, versions, store) -> None:
    versions(kind="interleaving", overrides={"u001": "control", "u002": "new"})
    api = open_api()
    pure = {listener: ask(api, listener) for listener in ("u001", "u002")}
    assert [one["model_version"] for one in pure.values()] == [models.first, models.second]
    assert not any("team" in track for track in pure["u001"]["tracks"])
    mixed = [ask(api, listener) for listener in LISTENERS[3:]]
    for said in mixed:
        assert said["variant"] == "ranker:interleaved"
        assert said["model_version"] == f"{models.first},{models.second}"
        assert [track["score"] for track in said["tracks"]] == sorted(
            (track["score"] for track in said["tracks"]), reverse=True
        )
        assert {track["propensity"] for track in said["tracks"]} <= {0.5, 1.0}
    teams = Counter(track["team"] for said in mixed for track in said["tracks"])
    assert set(teams) <= {"", "control", "new"}
    assert abs(teams["control"] - teams["new"]) < 0.3 * (teams["control"] + teams["new"])
    again = ask(api, LISTENERS[3])
    assert again["served_from"] == "cache"
    assert again["tracks"] == mixed[0]["tracks"]


def test_credit_of_an_interleaved_slate_goes_to_its_team(open_api, versions, store) -> None:
    versions(kind="interleaving")
    api = open_api()
    expected = Counter()
    for listener in LISTENERS[:20]:
        said = ask(api, listener)
        chosen = next(track for track in said["tracks"] if track["team"])
        event = {"user_id": listener, "track_id": chosen["track_id"], "request_id": said["request_id"]}
        assert api.post("/v1/events", json=event).status_code == 200
        expected[chosen["team"]] += 1
    service = api.app.service
    service.exposures.flush()
    found = outcomes_since(service.exposures, service.journal, 0)
    teams = pl.concat(service.exposures.frames(teams=True)).select("request_id", "teams")
    told = credit(found, teams, "control")
    assert told["control"].sum() == expected["control"]
    assert told["treatment"].sum() == expected["new"]


def test_a_version_that_does_not_load_leaves_its_experiment_out(open_api, own_models, store) -> None:
    arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": own_models.second}]
    for name, slots in (("broken", (0, 5000)), ("whole", (5000, 10_000))):
        given = (
            arms
            if name == "broken"
            else [arms[0], {"name": "new", "share": 5000, "rules": {"artist_cap": 1}}]
        )
        store.create(Definition.parse({"name": name, "arms": given, "slots": slots}))
        store.start(name, Registry(own_models.folder).resolve)
    (own_models.folder / "versions" / own_models.second / "recommender.json").write_text("{}")
    api = open_api(models=own_models.folder)
    said = [ask(api, listener) for listener in LISTENERS]
    assert {one["model_version"] for one in said} == {own_models.first}
    assert {name for one in said for name in arms_of(one["variant"])} == {"whole"}
    assert sum(one["variant"] == "" for one in said) > 10
    listed = api.get("/v1/experiments").json()
    assert listed["waiting"] == ["broken"]
    assert any(own_models.second in alarm for alarm in listed["alarms"])
    assert api.get("/health/ready").json()["status"] == "degraded"
    counted = api.get("/metrics").text
    assert "audotics_variant_versions_not_loaded_total 1.0" in counted
    assert re.search(r'audotics_variant_unready_total{experiment="broken"} [1-9]', counted)
    assert api.get("/v1/experiments/broken").json()["takes_part"] is False


def test_metrics_are_split_by_variant(open_api, versions, store) -> None:
    versions()
    api = open_api()
    variants = Counter(ask(api, listener)["variant"] for listener in LISTENERS[:20])
    counted = api.get("/metrics").text
    for variant, n in variants.items():
        labels = f'degraded="no",served_from="computed",variant="{variant}"'
        assert f"audotics_variant_answers_total{{{labels}}} {n}.0" in counted
        assert f'audotics_variant_answer_seconds_count{{variant="{variant}"}} {n}.0' in counted


def test_what_is_pinned_stays_when_the_champion_moves(open_api, own_models, store) -> None:
    arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": own_models.second}]
    store.create(
        Definition.parse({"name": "ranker", "arms": arms, "overrides": {"u001": "control", "u002": "new"}})
    )
    registry = Registry(own_models.folder)
    store.start("ranker", registry.resolve)
    api = open_api(models=own_models.folder)
    registry.set_alias("champion", own_models.second)
    outside = {"user_id": None, "history": ["t001"]}

    def champion() -> str:
        said: str = api.post("/v1/recommendations", json=outside).json()["model_version"]
        return said

    wait_until(lambda: champion() == own_models.second, "the server swaps")
    assert ask(api, "u001")["model_version"] == own_models.first
    assert ask(api, "u002")["model_version"] == own_models.second


def test_experiments_go_on_while_the_database_is_away(
    open_api, models, postgresql, postgresql_server
) -> None:
    engine = open_engine(postgresql, timeout_s=10)
    prepare_experiments(engine)
    store = ExperimentStore(engine)
    arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": models.second}]
    store.create(Definition.parse({"name": "ranker", "arms": arms}))
    store.start("ranker", Registry(models.folder).resolve)
    api = open_api(database_url=postgresql)
    labels = {listener: ask(api, listener)["variant"] for listener in LISTENERS[:5]}
    assert set(labels.values()) == {"ranker:control", "ranker:new"}
    postgresql_server.stop()
    try:
        wait_until(lambda: bool(api.get("/v1/experiments").json()["alarms"]), "the server notices")
        assert {listener: ask(api, listener)["variant"] for listener in LISTENERS[:5]} == labels
        assert api.get("/v1/experiments/ranker").status_code == 503
    finally:
        postgresql_server.start()
    wait_until(lambda: not api.get("/v1/experiments").json()["alarms"], "it is back")
    store.stop("ranker")
    wait_until(lambda: ask(api, "u001")["variant"] == "", "the server hears of the stop")
    engine.dispose()


@pytest.fixture
def operator(own_models, tmp_path, open_api) -> Iterator[TestClient]:
    secret = KeyFile(tmp_path / "keys.json").create("operator", Scope.ADMIN)
    api = open_api(models=own_models.folder, keys=tmp_path / "keys.json")
    api.headers["Authorization"] = f"Bearer {secret}"
    yield api


def test_a_whole_life_over_http(operator, own_models) -> None:
    arms = [{"name": "control", "share": 100}, {"name": "new", "share": 100, "model": own_models.second}]
    made = operator.post(
        "/v1/experiments", json={"name": "ranker", "arms": arms, "overrides": {"u001": "new"}}
    )
    assert made.status_code == 201, made.text
    assert made.json()["overrides"] == {}
    assert operator.post("/v1/experiments", json={"name": "ranker", "arms": arms}).status_code == 400
    assert operator.post("/v1/experiments", json={"name": "r", "arms": arms[:1]}).status_code == 422
    assert operator.post("/v1/experiments/ranker/stop", json={}).status_code == 409
    begun = operator.post("/v1/experiments/ranker/start", json={"reason": "go"})
    assert [arm["model"] for arm in begun.json()["arms"]] == [own_models.first, own_models.second]
    wait_until(lambda: ask(operator, "u001")["variant"] == "ranker:new", "it runs")
    grown = operator.post("/v1/experiments/ranker/shares", json={"shares": {"new": 5000}})
    assert grown.json()["buckets"]["new"] == [[100, 5100]]
    assert operator.post("/v1/experiments/ranker/shares", json={"shares": {"old": 1}}).status_code == 400
    won = operator.post("/v1/experiments/ranker/promote", json={"arm": "new", "reason": "it won"})
    assert (won.json()["alias"], won.json()["version"]) == ("champion", own_models.second)
    shown = operator.get("/v1/experiments/ranker").json()
    assert shown["experiment"]["state"] == "stopped"
    assert shown["experiment"]["promoted"] == "new"
    assert [one["action"] for one in shown["history"]] == ["create", "start", "shares", "stop", "promote"]
    assert Registry(own_models.folder).alias("champion") == own_models.second
    assert operator.get("/v1/experiments/none").status_code == 400


def test_only_operators_change_experiments(api) -> None:
    for path in ("", "/x/start", "/x/stop", "/x/shares", "/x/promote"):
        assert api.post(f"/v1/experiments{path}", json={}).status_code == 403
    assert api.get("/v1/experiments").status_code == 200


def test_an_erased_tester_is_forgotten(operator, store) -> None:
    store.create(
        Definition.parse(
            {
                "name": "ranker",
                "arms": [{"name": "control", "share": 1}, {"name": "new", "share": 1}],
                "overrides": {"u007": "new"},
            }
        )
    )
    wait_until(lambda: operator.get("/v1/experiments").json()["revision"] > 0, "the server hears of it")
    assert operator.delete("/v1/users/u007").status_code == 200
    assert store.get("ranker").overrides == {}


def test_every_worker_of_a_real_server_deals_alike(start_server, models, tmp_path) -> None:
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    server = start_server(models, database_url=database, workers=2, deadline_ms=5000)
    engine = open_engine(database, timeout_s=10)
    prepare_experiments(engine)
    store = ExperimentStore(engine, "test")
    arms = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": models.second}]
    store.create(Definition.parse({"name": "ranker", "arms": arms}))
    store.start("ranker", Registry(models.folder).resolve)
    assignment = store.snapshot().assignment()

    def label(listener: str) -> str:
        return str(server.get(f"/v1/users/{listener}/recommendations")[1].get("variant"))

    wait_until(lambda: all(label("u001") != "" for _ in range(8)), "both workers hear of it")
    time.sleep(2 * POLL_S)
    with ThreadPoolExecutor(4) as pool:
        labels = list(pool.map(label, LISTENERS * 2))
    assert labels[: len(LISTENERS)] == labels[len(LISTENERS) :]
    numbers = assignment.arm_numbers(assignment.experiments[0], pl.Series(LISTENERS)).tolist()
    assert labels[: len(LISTENERS)] == [f"ranker:{('control', 'new')[number]}" for number in numbers]
    log = ExposureLog(engine)
    wait_until(
        lambda: (
            sum(frame.filter(pl.col("variant") != "").height for frame in log.frames()) >= 2 * len(LISTENERS)
        ),
        "exposures are written",
    )
    frame = pl.concat(log.frames())
    assert frame["request_id"].n_unique() == frame.height
    log.close()
