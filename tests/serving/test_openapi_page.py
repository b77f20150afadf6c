"""The OpenAPI page is true: every answer is one that it describes, and nothing is left out."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from contract.openapi import Operation, operations

PATHS = {
    "GET /v1/users/{user_id}/recommendations",
    "POST /v1/recommendations",
    "GET /v1/tracks/{track_id}/similar",
    "GET /v1/tracks/{track_id}/radio",
    "POST /v1/playlists/continue",
    "POST /v1/events",
    "DELETE /v1/users/{user_id}",
    "PUT /v1/tracks/{track_id}",
    "POST /v1/features/tracks",
    "POST /v1/features/users",
    "GET /v1/models",
    "POST /v1/models/promote",
    "POST /v1/models/rollback",
    "GET /v1/experiments",
    "POST /v1/experiments",
    "GET /v1/experiments/{name}",
    "POST /v1/experiments/{name}/start",
    "POST /v1/experiments/{name}/shares",
    "POST /v1/experiments/{name}/stop",
    "POST /v1/experiments/{name}/promote",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",
}

TRACK = {"user_id": "o", "track_id": "t001"}

# Operation, path as asked for, what is sent, expected status.
REQUESTS = [
    ("GET /v1/users/{user_id}/recommendations", "/v1/users/u001/recommendations", {}, 200),
    ("GET /v1/users/{user_id}/recommendations", "/v1/users/u001/recommendations?explain=false", {}, 200),
    ("GET /v1/users/{user_id}/recommendations", "/v1/users/o/recommendations?k=0", {}, 422),
    ("POST /v1/recommendations", "/v1/recommendations", {"json": {"artists": ["a1"]}}, 200),
    ("POST /v1/recommendations", "/v1/recommendations", {"json": {"group": ["u1", "u2"]}}, 200),
    ("POST /v1/recommendations", "/v1/recommendations", {"json": {"group": ["u1"]}}, 400),
    ("POST /v1/recommendations", "/v1/recommendations", {"json": {"k": "many"}}, 422),
    ("POST /v1/recommendations", "/v1/recommendations", {"content": b"{"}, 422),
    ("POST /v1/recommendations", "/v1/recommendations", {"content": b" " * 2_000_000}, 413),
    ("GET /v1/tracks/{track_id}/similar", "/v1/tracks/t001/similar", {}, 200),
    ("GET /v1/tracks/{track_id}/similar", "/v1/tracks/none/similar", {}, 404),
    ("GET /v1/tracks/{track_id}/radio", "/v1/tracks/t001/radio", {}, 200),
    ("GET /v1/tracks/{track_id}/radio", "/v1/tracks/t001/radio?k=x", {}, 422),
    ("POST /v1/playlists/continue", "/v1/playlists/continue", {"json": {"tracks": ["t001"]}}, 200),
    ("POST /v1/playlists/continue", "/v1/playlists/continue", {"json": {"tracks": 1}}, 422),
    ("POST /v1/events", "/v1/events", {"json": TRACK}, 200),
    ("POST /v1/events", "/v1/events", {"json": [TRACK, {}]}, 200),
    ("POST /v1/events", "/v1/events", {"json": [{}]}, 422),
    ("POST /v1/events", "/v1/events", {"content": b"{"}, 400),
    ("DELETE /v1/users/{user_id}", "/v1/users/o", {}, 403),
    # One that is never recommended: the application is shared.
    ("PUT /v1/tracks/{track_id}", "/v1/tracks/unheard-of", {"json": {"title": "Silence"}}, 201),
    ("PUT /v1/tracks/{track_id}", "/v1/tracks/t001", {"json": {"title": "Song 1"}}, 200),
    ("PUT /v1/tracks/{track_id}", "/v1/tracks/t001", {"json": {"label": "Blue"}}, 422),
    ("POST /v1/features/tracks", "/v1/features/tracks", {"json": {"tracks": [{}]}}, 200),
    ("POST /v1/features/users", "/v1/features/users", {"json": {"users": [{}]}}, 200),
    ("GET /v1/models", "/v1/models", {}, 200),
    ("POST /v1/models/promote", "/v1/models/promote", {"json": {"version": "x"}}, 403),
    ("POST /v1/models/rollback", "/v1/models/rollback", {}, 403),
    ("GET /v1/experiments", "/v1/experiments", {}, 200),
    ("GET /v1/experiments/{name}", "/v1/experiments/none", {}, 400),
    ("GET /v1/experiments/{name}", "/v1/experiments/a,b", {}, 422),
    ("POST /v1/experiments", "/v1/experiments", {"json": {"name": "x"}}, 403),
    ("POST /v1/experiments/{name}/start", "/v1/experiments/x/start", {"json": {}}, 403),
    ("POST /v1/experiments/{name}/shares", "/v1/experiments/x/shares", {"json": {"shares": {}}}, 403),
    ("POST /v1/experiments/{name}/stop", "/v1/experiments/x/stop", {"json": {}}, 403),
    ("POST /v1/experiments/{name}/promote", "/v1/experiments/x/promote", {"json": {"arm": "x"}}, 403),
    ("GET /health/live", "/health/live", {}, 200),
    ("GET /health/ready", "/health/ready", {}, 200),
    ("GET /metrics", "/metrics", {}, 200),
]


@pytest.fixture(scope="module")
def page(api: TestClient) -> dict[str, Operation]:
    return {one.name: one for one in operations(api.get("/openapi.json").json())}


def test_every_path_of_the_api_is_on_the_page(page: dict[str, Operation]):
    assert set(page) >= PATHS


def test_every_path_is_tried_here(page: dict[str, Operation]):
    assert {name for name, *_ in REQUESTS} == PATHS


def test_every_operation_says_what_it_does(page: dict[str, Operation]):
    for operation in page.values():
        assert operation.said["summary"], operation.name
        assert operation.said["description"], operation.name
        for parameter in operation.said.get("parameters", []):
            assert parameter["description"], (operation.name, parameter["name"])


@pytest.mark.parametrize(
    ("name", "path", "sent", "status"), REQUESTS, ids=[f"{r[3]} {r[1][:60]}" for r in REQUESTS]
)
def test_answers_are_as_described(
    api: TestClient, page: dict[str, Operation], name: str, path: str, sent: dict[str, object], status: int
):
    operation = page[name]
    answer = api.request(operation.method, path, **sent)
    assert answer.status_code == status, answer.text
    operation.check(answer)
    assert answer.headers["x-request-id"]


def test_operators_get_what_the_page_describes(open_api, own_models, tmp_path):
    from audotics.serving.access import KeyFile, Scope

    secret = KeyFile(tmp_path / "keys.json").create("operator", Scope.ADMIN)
    api = open_api(models=own_models.folder, keys=tmp_path / "keys.json")
    api.headers["Authorization"] = f"Bearer {secret}"
    page = {one.name: one for one in operations(api.get("/openapi.json").json())}
    one = "/v1/experiments/{name}"
    arms = [{"name": "a", "share": 100}, {"name": "b", "share": 100, "model": own_models.second}]
    experiment = {"name": "ranker", "arms": arms}
    for name, path, sent, status in (
        ("POST /v1/models/promote", "/v1/models/promote", {"json": {"version": own_models.second}}, 200),
        ("POST /v1/models/promote", "/v1/models/promote", {"json": {"version": "nothing"}}, 400),
        ("POST /v1/models/promote", "/v1/models/promote", {"json": {"version": "../x"}}, 422),
        ("POST /v1/models/rollback", "/v1/models/rollback", {}, 200),
        ("POST /v1/models/rollback", "/v1/models/rollback", {}, 400),
        ("DELETE /v1/users/{user_id}", "/v1/users/u001", {}, 200),
        ("POST /v1/experiments", "/v1/experiments", {"json": experiment}, 201),
        ("POST /v1/experiments", "/v1/experiments", {"json": experiment}, 400),
        ("POST /v1/experiments", "/v1/experiments", {"json": {**experiment, "arms": []}}, 422),
        (f"POST {one}/stop", "/v1/experiments/ranker/stop", {"json": {}}, 409),
        (f"POST {one}/start", "/v1/experiments/ranker/start", {"json": {"reason": "go"}}, 200),
        (f"POST {one}/shares", "/v1/experiments/ranker/shares", {"json": {"shares": {"b": 200}}}, 200),
        (f"POST {one}/promote", "/v1/experiments/ranker/promote", {"json": {"arm": "c"}}, 400),
        (f"POST {one}/promote", "/v1/experiments/ranker/promote", {"json": {"arm": "b"}}, 200),
        (f"GET {one}", "/v1/experiments/ranker", {}, 200),
        ("GET /v1/experiments", "/v1/experiments", {}, 200),
    ):
        answer = api.request(page[name].method, path, **sent)
        assert answer.status_code == status, (path, answer.text)
        page[name].check(answer)


def test_a_damaged_version_is_not_promoted(open_api, own_models, tmp_path):
    from audotics.serving.access import KeyFile, Scope

    secret = KeyFile(tmp_path / "keys.json").create("operator", Scope.ADMIN)
    api = open_api(models=own_models.folder, keys=tmp_path / "keys.json")
    api.headers["Authorization"] = f"Bearer {secret}"
    (own_models.folder / "versions" / own_models.second / "recommender.json").write_text("{}")
    page = {one.name: one for one in operations(api.get("/openapi.json").json())}
    answer = api.post("/v1/models/promote", json={"version": own_models.second})
    assert answer.status_code == 409, answer.text
    page["POST /v1/models/promote"].check(answer)


def test_the_documentation_page_names_the_description(api: TestClient):
    """Its script comes from a network address: without a network `/openapi.json` is what there is."""
    page = api.get("/docs")
    assert page.status_code == 200
    assert "/openapi.json" in page.text
