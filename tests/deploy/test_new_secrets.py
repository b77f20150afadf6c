"""new-secrets makes what compose.yaml mounts, once."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from audotics.serving.access import Access, KeyFile, Scope
from contract.deployment import DEPLOY, program, run

SCRIPT = str(DEPLOY / "new-secrets")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "secrets"
    done = run(SCRIPT, str(folder), AUDOTICS=program("audotics"))
    assert done.returncode == 0, done.stderr
    assert "aud_" not in done.stdout
    return folder


def new(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run(SCRIPT, str(folder), **{"AUDOTICS": program("audotics"), **environment})


def content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_secret_that_compose_mounts_is_made(secrets):
    shown = run(program("docker-compose"), "-f", "deploy/compose.yaml", "config", "--format", "json").stdout
    assert {Path(one["file"]).name for one in json.loads(shown)["secrets"].values()} <= set(content(secrets))


def test_the_folder_is_private_and_its_files_cannot_be_written(secrets):
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets.iterdir()} == {0o444}


def test_the_address_of_the_database_has_its_password(secrets):
    made = content(secrets)
    url = make_url(made["audotics_database_url"])
    assert (url.drivername, url.username, url.host, url.database) == (
        "postgresql+psycopg",
        "audotics",
        "postgres",
        "audotics",
    )
    assert url.password == made["postgres_password"]
    assert len(made["postgres_password"]) == len(made["grafana_password"]) == 48
    assert made["postgres_password"] != made["grafana_password"]


@pytest.mark.parametrize(
    ("file", "method", "path", "passes"),
    [
        ("key_read", "GET", "/v1/users/u/recommendations", True),
        ("key_read", "POST", "/v1/events", False),
        ("key_write", "POST", "/v1/events", True),
        ("key_admin", "POST", "/v1/models/promote", True),
        ("metrics_key", "GET", "/metrics", True),
        ("metrics_key", "DELETE", "/v1/users/u", False),
    ],
)
def test_keys_open_what_they_are_for(secrets, file, method, path, passes):
    access = Access(KeyFile(secrets / "api_keys.json").all())
    headers = {b"authorization": b"Bearer " + (secrets / file).read_bytes()}
    assert (access.refusal(method, path, headers) is None) is passes


def test_keys_are_named_for_their_scopes(secrets):
    keys = {key.name: key.scope for key in KeyFile(secrets / "api_keys.json").all()}
    expected = {"read": Scope.READ, "write": Scope.WRITE, "admin": Scope.ADMIN, "prometheus": Scope.READ}
    assert keys == expected


def test_again_changes_nothing(secrets):
    before = content(secrets)
    done = new(secrets)
    assert (done.returncode, done.stdout) == (0, "")
    assert content(secrets) == before


def test_keys_that_could_not_be_made_leave_nothing_behind_that_counts(tmp_path):
    done = new(tmp_path, AUDOTICS="false")
    assert done.returncode != 0
    assert {"api_keys.json", "key_read", "metrics_key"} & set(content(tmp_path)) == set()
    assert new(tmp_path).returncode == 0
    assert {"api_keys.json", "key_read", "metrics_key"} <= set(content(tmp_path))


def test_keys_of_an_interrupted_run_are_made_anew(tmp_path):
    (tmp_path / "key_read").write_text("aud_stale")
    assert new(tmp_path).returncode == 0
    key = (tmp_path / "key_read").read_bytes()
    assert key != b"aud_stale"
    access = Access(KeyFile(tmp_path / "api_keys.json").all())
    assert access.refusal("GET", "/v1/models", {b"authorization": b"Bearer " + key}) is None
