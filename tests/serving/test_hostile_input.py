"""Requests that nobody sane would send, made from the OpenAPI page: none of them is a server error."""

from __future__ import annotations

import json
from collections import Counter
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from audotics.serving.access import KeyFile, Scope
from contract.openapi import Operation, operations
from contract.schema_values import values_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=20,
)
KNOWN_IDS = st.sampled_from(["u001", "u002", "t001", "t044", "a3", "ambient"])
IDS = KNOWN_IDS | st.text(min_size=1, max_size=300)
ODD = st.sampled_from(
    [float("nan"), float("inf"), 1e308, -1e308, 10**30, -1, "", "\0", "\ud800", [], {}, None]
)
HOSTILE_BODIES = st.sampled_from(
    [b"", b"{", b"[" * 50_000, b'{"a":' * 50_000, b"9" * 5000, b"NaN", b"\xff" * 10, b'"\\ud800"', b"\0"]
)


@st.composite
def bodies(draw: st.DrawFn, operation: Operation) -> bytes:
    """As the page describes it, or with something exchanged, or nothing like it."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(HOSTILE_BODIES | st.binary(max_size=50))
    if kind == 1:
        return json.dumps(draw(JSON)).encode(errors="replace")
    document = draw(values_of(operation.body, operation.root))
    if isinstance(document, dict):
        for name in draw(st.lists(st.sampled_from(sorted(document) or ["x"]), max_size=2)):
            if kind < 5:
                document[name] = draw(JSON | ODD | KNOWN_IDS | st.lists(KNOWN_IDS, max_size=3))
        for name in ("user_id", "track_id"):
            if isinstance(document.get(name), str) and draw(st.booleans()):
                document[name] = draw(KNOWN_IDS)
    return json.dumps(document).encode(errors="replace")


@st.composite
def requests(draw: st.DrawFn, offered: list[Operation]) -> tuple[Operation, str, bytes | None]:
    """An operation, the path and query it is asked with, and a body."""
    operation = draw(st.sampled_from(offered))
    path, query = operation.path, []
    for parameter in operation.said.get("parameters", []):
        value = draw(IDS)
        if parameter["in"] == "path":
            # Clients take dot segments out before they send (RFC 3986): that would be another route.
            value = "..." if value in {".", ".."} else value
            path = path.replace(f"{{{parameter['name']}}}", quote(value, safe="", errors="replace"))
        elif draw(st.booleans()):
            plain = draw(values_of(parameter["schema"], operation.root) | JSON | st.just(value))
            query += [(parameter["name"], one) for one in (plain if isinstance(plain, list) else [plain])]
    asked = urlencode([(name, str(one)) for name, one in query], errors="replace")
    body = draw(bodies(operation)) if operation.body is not None else None
    return operation, f"{path}?{asked}" if asked else path, body


@pytest.fixture
def operator(open_api, own_models, tmp_path) -> TestClient:
    """Somebody who may do everything, so that every route is reached."""
    keys = KeyFile(tmp_path / "keys.json")
    secret = keys.create("operator", Scope.ADMIN)
    api = open_api(models=own_models.folder, keys=keys.path)
    api.headers["Authorization"] = f"Bearer {secret}"
    return api


def fuzz(api: TestClient, n: int) -> Counter[int]:
    offered = list(operations(api.get("/openapi.json").json()))
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=n <= 500,
    )
    @given(requests(offered))
    def send(request: tuple[Operation, str, bytes | None]) -> None:
        operation, path, body = request
        headers = {} if body is None else {"Content-Type": "application/json"}
        answer = api.request(operation.method, path, content=body, headers=headers)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        operation.check(answer)

    send()
    return statuses


def test_500_hostile_requests_are_no_server_error(operator: TestClient):
    statuses = fuzz(operator, 500)
    assert statuses.total() >= 500
    assert statuses[200] >= 50, statuses


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_5000_hostile_requests_are_no_server_error(operator: TestClient):
    statuses = fuzz(operator, 5000)
    assert statuses.total() >= 5000
    assert statuses[200] >= 500, statuses
