from __future__ import annotations

import stat
from pathlib import Path

import pytest

from audotics.errors import BadInputError
from audotics.serving.access import Access, Key, KeyFile, Scope, needed_scope


def bearer(secret: str) -> dict[bytes, bytes]:
    return {b"authorization": f"Bearer {secret}".encode()}


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    return KeyFile(tmp_path / "keys.json")


def test_the_file_never_holds_the_secret(file: KeyFile) -> None:
    secret = file.create("app", Scope.WRITE)
    assert secret not in file.path.read_text()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert [key.name for key in file.all()] == ["app"]


def test_a_name_is_used_once_and_can_be_revoked(file: KeyFile) -> None:
    file.create("app", Scope.READ)
    with pytest.raises(BadInputError, match="there is a key 'app'"):
        file.create("app", Scope.READ)
    file.revoke("app")
    assert file.all() == ()
    with pytest.raises(BadInputError, match="no key 'app'"):
        file.revoke("app")


def test_a_damaged_file_is_told(file: KeyFile) -> None:
    file.path.write_text('[{"name": 1}]')
    with pytest.raises(BadInputError, match="no file of API keys"):
        file.all()


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/v1/users/u/recommendations", Scope.READ),
        ("POST", "/v1/recommendations", Scope.READ),
        ("POST", "/v1/events", Scope.WRITE),
        ("PUT", "/v1/tracks/t", Scope.WRITE),
        ("DELETE", "/v1/users/u", Scope.ADMIN),
        ("POST", "/v1/models/promote", Scope.ADMIN),
        ("GET", "/v1/models", Scope.READ),
    ],
)
def test_what_a_request_needs(file: KeyFile, method: str, path: str, scope: Scope) -> None:
    assert needed_scope(method, path) is scope
    secrets = {one: file.create(one.value, one) for one in Scope}
    access = Access(file.all())
    for one, secret in secrets.items():
        refusal = access.refusal(method, path, bearer(secret))
        enough = list(Scope).index(one) >= list(Scope).index(scope)
        assert (refusal is None) == enough
        assert enough or refusal.status_code == 403


@pytest.mark.parametrize("headers", [{}, bearer("aud_wrong"), {b"authorization": b"Basic x"}, bearer("")])
def test_without_a_key_nothing_but_health_passes(file: KeyFile, headers: dict[bytes, bytes]) -> None:
    file.create("app", Scope.ADMIN)
    access = Access(file.all())
    refusal = access.refusal("GET", "/v1/models", headers)
    assert refusal is not None
    assert refusal.status_code == 401
    assert access.refusal("GET", "/health/live", headers) is None


def test_an_empty_key_file_shuts_everything() -> None:
    refusal = Access(()).refusal("GET", "/v1/models", {})
    assert refusal is not None


def test_without_a_key_file_operators_stay_out() -> None:
    access = Access(None)
    assert access.refusal("POST", "/v1/events", {}) is None
    refusal = access.refusal("DELETE", "/v1/users/u", {})
    assert refusal is not None
    assert refusal.status_code == 403


def test_the_rate_is_limited_by_key() -> None:
    now = [0.0]
    one, other = (Key(name, Scope.READ, KeyFileDigest.of(name)) for name in ("one", "other"))
    access = Access((one, other), rate_limit=2.0, clock=lambda: now[0])

    def ask(name: str) -> int:
        refusal = access.refusal("GET", "/v1/models", bearer(name))
        if refusal is None:
            return 200
        assert refusal.headers["retry-after"] == "1"
        return refusal.status_code

    assert [ask("one") for _ in range(3)] == [200, 200, 429]
    assert ask("other") == 200
    now[0] = 0.5
    assert [ask("one"), ask("one")] == [200, 429]


class KeyFileDigest:
    @staticmethod
    def of(secret: str) -> str:
        import hashlib

        return hashlib.sha256(secret.encode()).hexdigest()
