"""What is in deploy/, as tests read it, and what it is held against: command line, settings and API."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from audotics.cli.main import app
from audotics.serving.app import create_app
from audotics.settings import SECRETS_FOLDER, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def program(name: str) -> str:
    """The path of a program that is installed beside this Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        pytest.fail(f"{name} is not installed: pip install 'audotics[dev]'", pytrace=False)
    return str(path)


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program in the repository's root, with variables added to the environment."""
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def assert_command_line_takes(arguments: Iterable[str]) -> None:
    """Fail where `audotics` would not accept the arguments; nothing is run."""
    command, name, left = typer.main.get_command(app), "audotics", [str(one) for one in arguments]
    while hasattr(command, "commands"):
        name, *left = left
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    command.make_context(name, left)


def unknown_settings(variables: Iterable[str]) -> set[str]:
    """Variables of ours among these that nothing reads."""
    known = {f"AUDOTICS_{name.upper()}" for name in Settings.model_fields} | {SECRETS_FOLDER}
    return {name for name in variables if name.startswith("AUDOTICS_")} - known


def api_paths() -> set[str]:
    """The paths of the HTTP API, from its own page."""
    return set(create_app(Settings())._app.openapi()["paths"])  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, its lines joined."""

    word: str
    text: str

    @property
    def exec_form(self) -> list[str]:
        """The words of a JSON array."""
        words: list[str] = json.loads(self.text)
        return words


def stages(name: str) -> list[list[Instruction]]:
    """The instructions of each stage of a Dockerfile; what stands before the first one is left out."""
    text = (DEPLOY / "docker" / name).read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found: list[list[Instruction]] = []
    for line in lines.replace("\\\n", "").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append([])
        if word and found:
            found[-1].append(Instruction(word, rest.strip()))
    return found


def values(stage: Iterable[Instruction], word: str) -> list[str]:
    """What follows a word in a stage, once for each time it stands there."""
    return [instruction.text for instruction in stage if instruction.word == word]


def environment(stage: Iterable[Instruction]) -> dict[str, str]:
    """The variables that a stage sets."""
    text = " ".join(values(stage, "ENV"))
    return dict(re.findall(r"(\w+)=(\S+)", text))


def health_check() -> list[str]:
    """The command of the server image's health check, with this Python."""
    text = values(stages("Dockerfile.server")[-1], "HEALTHCHECK")[0]
    python, *arguments = json.loads(text.split("CMD", 1)[1])
    assert python == "python"
    return [sys.executable, *arguments]


def requirements(extras: Iterable[str]) -> Iterator[str]:
    """Names of the distributions that Audotics with these extras asks for itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups: Mapping[str, list[str]] = project["optional-dependencies"]
    waiting = [*project["dependencies"], *(line for extra in extras for line in groups[extra])]
    for line in waiting:
        name, inner = re.match(r"([\w.-]+)(?:\[(.*?)\])?", line).groups()  # type: ignore[union-attr]
        if name == "audotics":
            waiting += [line for extra in inner.split(",") for line in groups[extra.strip()]]
        else:
            yield name


def kubernetes_objects() -> list[dict[str, Any]]:
    """Every object that the kustomization makes, names as they are written."""
    folder = DEPLOY / "kubernetes"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    texts = [(folder / name).read_text(encoding="utf-8") for name in kustomization["resources"]]
    objects = [one for text in texts for one in yaml.safe_load_all(text)]
    for made in kustomization["configMapGenerator"]:
        lines = [line for env in made["envs"] for line in (folder / env).read_text().splitlines()]
        data = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
        objects.append(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": made["name"]}, "data": data}
        )
    return objects
