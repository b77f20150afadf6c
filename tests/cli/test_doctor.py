import importlib.metadata
import json
import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audotics.cli.main import app
from audotics.errors import RefusedError


def doctor(*arguments: str) -> tuple[dict[str, dict[str, object]], BaseException | None]:
    result = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    return {finding["subject"]: finding for finding in json.loads(result.stdout)}, result.exception


@pytest.fixture
def without_polars(monkeypatch):
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "polars":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)


def test_a_healthy_installation_is_all_ok(tmp_path):
    findings, error = doctor("--models", str(tmp_path / "new" / "models"))
    assert error is None
    assert all(finding["ok"] for finding in findings.values())
    assert findings["polars"]["state"] == importlib.metadata.version("polars")
    assert "can be created" in str(findings["models folder"]["state"])
    assert {"python", "platform", "cores", "thread limits", "memory", "tensorflow"} <= set(findings)
    assert not (tmp_path / "new").exists(), "looking creates nothing"


def test_tools_for_development_are_not_asked_for():
    assert not {"pytest", "mypy", "ruff", "audotics"} & set(doctor()[0])


def test_a_missing_library_is_bad_and_exit_code_3(without_polars):
    findings, error = doctor()
    assert findings["polars"] == {
        "subject": "polars",
        "state": "not installed: install audotics again",
        "ok": False,
    }
    assert isinstance(error, RefusedError)
    assert error.exit_code == 3
    assert "polars" in str(error)


def test_a_missing_extra_is_told_but_not_bad(monkeypatch):
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "matplotlib":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    findings, error = doctor()
    assert error is None
    assert findings["matplotlib"]["ok"]
    assert "install audotics[" in str(findings["matplotlib"]["state"])


def test_a_models_folder_that_is_a_file_is_bad(tmp_path: Path):
    (tmp_path / "models").write_text("x")
    findings, error = doctor("--models", str(tmp_path / "models"))
    assert "is not a folder" in str(findings["models folder"]["state"])
    assert isinstance(error, RefusedError)


def test_a_models_folder_that_cannot_be_written_is_bad(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    findings, _ = doctor("--models", str(tmp_path))
    assert "cannot be written" in str(findings["models folder"]["state"])


def test_thread_limits_are_shown(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "OMP_NUM_THREADS=3" in str(doctor()[0]["thread limits"]["state"])


def test_cores_and_memory_are_told_where_the_system_tells_less(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    names = {name: number for name, number in os.sysconf_names.items() if name != "SC_AVPHYS_PAGES"}
    monkeypatch.setattr(os, "sysconf_names", names)
    findings, error = doctor()
    assert error is None
    assert findings["cores"]["state"] == str(os.cpu_count())
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert findings["memory"]["state"] == f"{size:.1f} GiB"


def test_the_plain_report_is_one_line_per_finding():
    result = CliRunner().invoke(app, ["doctor"])
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok  python ")
    assert all(line.startswith("ok ") for line in lines)


def test_tensorflow_is_started_only_on_request(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    findings, error = doctor("--tensorflow")
    assert "cannot be imported" in str(findings["tensorflow devices"]["state"])
    assert isinstance(error, RefusedError)
    assert "tensorflow devices" not in doctor()[0]
