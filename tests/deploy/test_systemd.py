"""The systemd units are what systemd takes, and start commands that exist."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from audotics.errors import BadInputError, RefusedError
from audotics.serving.workers import GRACE_S
from contract.deployment import DEPLOY, assert_command_line_takes, program, run, unknown_settings

FOLDER = DEPLOY / "systemd"
INSTALLED = "/opt/audotics/bin/audotics"


def unit(name: str) -> dict[str, list[str]]:
    """What a unit says, each name with all its values."""
    said: dict[str, list[str]] = {}
    for line in (FOLDER / name).read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not key.startswith("#"):
            said.setdefault(key, []).append(value)
    return said


def variables(name: str) -> dict[str, str]:
    """What a unit sets in the environment."""
    return dict(one.split("=", 1) for one in unit(name)["Environment"])


services = pytest.mark.parametrize("name", ["audotics.service", "audotics-retrain.service"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_every_unit(tmp_path: Path):
    for path in FOLDER.iterdir():
        text = path.read_text(encoding="utf-8").replace(INSTALLED, program("audotics"))
        (tmp_path / path.name).write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir())))
    assert (done.returncode, done.stderr) == (0, "")


@services
def test_the_command_exists(name):
    program_path, *arguments = shlex.split(unit(name)["ExecStart"][0])
    assert program_path == INSTALLED
    assert_command_line_takes(arguments)


@services
def test_settings_exist(name):
    assert unknown_settings(variables(name)) == set()
    assert {"AUDOTICS_MODELS", "AUDOTICS_SECRETS"} == set(variables(name))


@services
def test_it_may_write_nowhere_but_into_its_own_folder(name):
    said = unit(name)
    assert said["ProtectSystem"] == ["strict"]
    assert said["NoNewPrivileges"] == ["yes"]
    assert said["CapabilityBoundingSet"] == [""]
    (own,) = said["StateDirectory"]
    assert variables(name)["AUDOTICS_MODELS"].startswith(f"/var/lib/{own}/")


def test_a_server_has_time_to_end_and_is_not_restarted_over_bad_settings():
    said = unit("audotics.service")
    assert float(said["TimeoutStopSec"][0]) > GRACE_S + 5
    assert said["RestartPreventExitStatus"] == [str(BadInputError.exit_code)]


def test_a_refused_challenger_is_no_failed_unit():
    assert unit("audotics-retrain.service")["SuccessExitStatus"] == [str(RefusedError.exit_code)]
    assert (FOLDER / "audotics-retrain.timer").is_file()
