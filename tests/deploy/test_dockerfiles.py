"""The Dockerfiles are clean, and what they name exists."""

from __future__ import annotations

import fnmatch
import re
import socket

import pytest

from audotics.settings import Settings
from contract.deployment import (
    DEPLOY,
    ROOT,
    api_paths,
    assert_command_line_takes,
    environment,
    health_check,
    program,
    requirements,
    run,
    stages,
    unknown_settings,
    values,
)

SERVER, TRAINER = "Dockerfile.server", "Dockerfile.trainer"
both = pytest.mark.parametrize("name", [SERVER, TRAINER])


def installed_extras(name: str) -> list[str]:
    build = stages(name)[0]
    arguments = dict(line.split("=", 1) for line in values(build, "ARG"))
    asked = re.search(r'"\.\[(.*)\]"', " ".join(values(build, "RUN")))[1]
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], asked).split(",")


@both
def test_the_linter_finds_nothing(name):
    done = run(program("hadolint"), "--failure-threshold", "style", f"deploy/docker/{name}")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_would_find_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN cd /tmp && apt-get install gcc\n")
    assert run(program("hadolint"), str(tmp_path / "Dockerfile")).returncode != 0


@both
def test_the_last_stage_installs_nothing_and_runs_as_nobody_special(name):
    last = stages(name)[-1]
    commands = " ".join(values(last, "RUN"))
    assert not re.search(r"apt-get|pip install|pip --python", commands)
    user, group = values(last, "USER")[-1].split(":")
    assert int(user) >= 1000 and int(group) >= 1000
    assert f"--uid {user} " in commands and f"--gid {group} " in commands
    assert f"install -d -o {user} -g {group} /models /data" in commands


@both
def test_versions_are_pinned(name):
    pip = next(text for text in values(stages(name)[0], "RUN") if "pip" in text)
    assert "--constraint constraints.txt" in pip
    first = values(stages(name)[0], "FROM")[0]
    assert first == "python:${PYTHON} AS build"
    header = (DEPLOY / "docker" / name).read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON=3\.(11|12|13)-slim-\w+$", header, re.MULTILINE)


@both
def test_what_is_copied_is_sent_to_the_build(name):
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    let_in = [line[1:] for line in ignored if line.startswith("!")]
    copied = [
        source
        for stage in stages(name)
        for text in values(stage, "COPY")
        if not text.startswith("--from")
        for source in text.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert any(fnmatch.fnmatch(source, allowed) for allowed in let_in), f"{source} is ignored"
        assert (ROOT / source).exists()


def test_nothing_is_let_into_the_build_that_no_image_needs():
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = " ".join(
        text for name in (SERVER, TRAINER) for stage in stages(name) for text in values(stage, "COPY")
    )
    assert [one for one in let_in if one not in copied.split()] == []


@both
def test_settings_exist_and_can_be_read(name, monkeypatch):
    given = environment(stages(name)[-1])
    assert unknown_settings(given) == set()
    for variable, value in given.items():
        if variable.startswith("AUDOTICS_"):
            monkeypatch.setenv(variable, value)
    assert str(Settings().models) == "/models"


@both
def test_what_runs_by_default_is_a_command(name):
    last = stages(name)[-1]
    entry = next(one for one in last if one.word == "ENTRYPOINT").exec_form
    command = next(one for one in last if one.word == "CMD").exec_form
    assert entry == ["audotics"]
    assert_command_line_takes(command)


def test_a_server_needs_neither_tensorflow_nor_what_trains():
    needed = set(requirements(installed_extras(SERVER)))
    assert {"fastapi", "ai-edge-litert", "redis", "psycopg"} <= needed
    assert needed & {"tensorflow", "keras", "matplotlib", "implicit", "torch", "ray"} == set()


def test_a_trainer_can_do_what_a_server_cannot():
    needed = set(requirements(installed_extras(TRAINER)))
    assert {"tensorflow", "keras", "sqlalchemy", "psycopg", "ai-edge-litert"} <= needed


def test_both_images_share_user_and_folders():
    server, trainer = stages(SERVER)[-1], stages(TRAINER)[-1]
    assert values(server, "USER") == values(trainer, "USER")
    assert environment(server)["AUDOTICS_MODELS"] == environment(trainer)["AUDOTICS_MODELS"]


def test_the_health_check_asks_what_the_server_answers():
    last = stages(SERVER)[-1]
    check = values(last, "HEALTHCHECK")[0]
    path = re.search(r"\]\}(/[\w/]+)", check)[1]
    assert path in api_paths()
    assert values(last, "EXPOSE") == [environment(last)["AUDOTICS_PORT"]]


def test_the_health_check_fails_where_nobody_listens():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        done = run(*health_check(), AUDOTICS_PORT=str(probe.getsockname()[1]))
    assert done.returncode == 1
    assert "refused" in done.stderr
