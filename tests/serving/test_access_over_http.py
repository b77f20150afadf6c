"""Who may do what: keys, scopes, rates, origins, names of requests, and what the log does not say."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from audotics.serving.access import KeyFile, Scope

PATH = "/v1/users/u001/recommendations"
EVENT = {"user_id": "somebody", "track_id": "t001"}


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_scopes_include_those_below(open_api, keys: KeyFile):
    secrets = {scope: keys.create(scope.value, scope) for scope in Scope}
    api = open_api(keys=keys.path)
    asks = {
        Scope.READ: lambda **more: api.get(PATH, **more),
        Scope.WRITE: lambda **more: api.post("/v1/events", json=EVENT, **more),
        Scope.ADMIN: lambda **more: api.delete("/v1/users/somebody", **more),
    }
    order = list(Scope)
    for held, secret in secrets.items():
        for needed, ask in asks.items():
            answer = ask(headers={"Authorization": f"Bearer {secret}"})
            allowed = order.index(held) >= order.index(needed)
            assert answer.status_code == (200 if allowed else 403), (held, needed, answer.text)
            if not allowed:
                assert f"scope {needed.value}" in answer.json()["detail"]


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer aud_wrong", "Basic aud_wrong", "bearer\taud_wrong"]
)
def test_who_has_no_key_gets_nothing(open_api, keys: KeyFile, header: str | None):
    keys.create("app", Scope.ADMIN)
    api = open_api(keys=keys.path)
    headers = {} if header is None else {"Authorization": header}
    for path in (PATH, "/v1/models", "/metrics", "/v1/nothing"):
        refused = api.get(path, headers=headers)
        assert refused.status_code == 401, path
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.headers["x-request-id"]
    for open_path in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
        assert api.get(open_path, headers=headers).status_code == 200, open_path


def test_a_hash_is_no_key(open_api, keys: KeyFile):
    keys.create("app", Scope.READ)
    api = open_api(keys=keys.path)
    stored = keys.all()[0].sha256
    assert api.get(PATH, headers={"Authorization": f"Bearer {stored}"}).status_code == 401


def test_an_empty_key_file_shuts_everybody_out(open_api, keys: KeyFile):
    assert open_api(keys=keys.path).get(PATH).status_code == 401


def test_without_keys_only_operators_are_shut_out(api: TestClient):
    assert api.get(PATH).status_code == 200
    assert api.post("/v1/events", json=EVENT).status_code == 200
    for method, path in (
        ("DELETE", "/v1/users/u001"),
        ("POST", "/v1/models/promote"),
        ("POST", "/v1/models/rollback"),
    ):
        refused = api.request(method, path)
        assert refused.status_code == 403
        assert "admin" in refused.json()["detail"]


def test_too_many_requests_over_http(open_api):
    api = open_api(rate_limit=5)
    answers = [api.get(PATH) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert answers[0].status_code == 200
    assert int(refused[0].headers["retry-after"]) == 1
    assert refused[0].headers["content-type"] == "application/problem+json"
    assert api.get("/health/live").status_code == 200


def test_no_other_origin_may_call_unless_it_is_named(api: TestClient, open_api, keys: KeyFile):
    origin = {"Origin": "https://app.example"}
    asking = {
        **origin,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    assert "access-control-allow-origin" not in api.get(PATH, headers=origin).headers
    assert api.options(PATH, headers=asking).status_code == 405
    keys.create("app", Scope.READ)
    named = open_api(cors_origins=("https://app.example",), keys=keys.path)
    before = named.options(PATH, headers=asking)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == "https://app.example"
    refused = named.get(PATH, headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    stranger = {"Origin": "https://other.example"}
    assert "access-control-allow-origin" not in named.get(PATH, headers=stranger).headers


def test_requests_have_names(api: TestClient):
    first, second = (api.get(PATH).headers["x-request-id"] for _ in range(2))
    assert re.fullmatch(r"[0-9a-f]{24}", first)
    assert first != second
    assert api.get(PATH, headers={"X-Request-ID": "mine-1.2_3"}).headers["x-request-id"] == "mine-1.2_3"
    for forged in ("two words", "x" * 65, "a\tb", ""):
        assert api.get(PATH, headers={"X-Request-ID": forged}).headers["x-request-id"] != forged


def test_the_log_names_no_listener_track_or_key(open_api, keys: KeyFile, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    secret = keys.create("app", Scope.ADMIN)
    api = open_api(keys=keys.path)
    api.headers["Authorization"] = f"Bearer {secret}"
    api.post("/v1/events", json={"user_id": "PRIVATE-1", "track_id": "t001", "event_id": "PRIVATE-2"})
    api.get("/v1/users/PRIVATE-1/recommendations?device=PRIVATE-3")
    api.get("/v1/tracks/PRIVATE-4/similar")
    api.post("/v1/recommendations", json={"user_id": "PRIVATE-1", "k": "PRIVATE-5"})
    api.post("/v1/events", content=b"{PRIVATE-6")
    api.delete("/v1/users/PRIVATE-1")
    ours = "\n".join(
        one.getMessage() + str(one.exc_info or "") for one in caplog.records if "http" not in one.name
    )
    assert "/v1/users/{user_id}/recommendations 200" in ours
    assert "PRIVATE" not in ours
    assert secret not in caplog.text.replace(repr(api.headers), "")
    metrics = api.get("/metrics").text
    assert "PRIVATE" not in metrics
    assert 'route="/v1/users/{user_id}/recommendations"' in metrics


def test_settings_do_not_print_secrets(open_api, tmp_path: Path):
    from audotics.settings import Settings

    given = Settings(
        database_url="postgresql+psycopg://me:SECRET@host/db", redis_url="redis://:SECRET@host/0"
    )
    assert "SECRET" not in repr(given)
    assert "SECRET" not in json.dumps(given.model_dump(mode="json"))
