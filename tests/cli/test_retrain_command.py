"""`audotics retrain` for its users."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from audotics.journal.engine import open_engine
from audotics.lifecycle.lease import Lease
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from contract.aging import post_days, publish_first, write_days
from contract.workplace import Audotics

LIMITS = """
[gates]
least_listeners = 10
quality_margin = 0.9
data.gap_share = 0
data.unknown_share = 1
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("retrained")
    publish_first(write_days(folder / "base", 0, 16), folder / "models")
    (folder / "limits.toml").write_text(LIMITS)
    (folder / "unreachable.toml").write_text(LIMITS + "least_quality = 1.0\n")
    return folder


@pytest.fixture
def place(first: Path, tmp_path: Path) -> Path:
    shutil.copytree(first, tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}", timeout_s=5)
    yield engine
    engine.dispose()


def arguments(place: Path, engine: Engine) -> list[str]:
    return [
        *("retrain", "--models", str(place / "models"), "--quiet"),
        *("--database", engine.url.render_as_string(hide_password=False)),
        *("--limits", str(place / "limits.toml")),
    ]


def test_promoted_nothing_to_do_and_refused(place: Path, engine: Engine, audotics: Audotics):
    common, data = arguments(place, engine), ("--data", str(place / "base"))
    post_days(engine, 16, 18)
    before = Registry(place / "models").alias(CHAMPION)

    promoted = audotics(*common, *data, "--json", "--set", "per_retriever=20")
    nothing = audotics(*common, *data)
    post_days(engine, 18, 20)
    refused = audotics(*common, "--limits", str(place / "unreachable.toml"))

    report = json.loads(promoted.out)
    assert (promoted.code, report["outcome"], report["champion"]) == (0, "promoted", before)
    assert nothing.code == 0
    assert nothing.out.startswith("nothing to do (asked for)\n  no event came")
    assert refused.code == 3
    assert f"{Registry(place / 'models').alias('challenger')} was refused (asked for)" in refused.out
    assert "least quality: " in refused.out
    assert Registry(place / "models").alias(CHAMPION) == report["version"]


def test_what_is_missing_or_in_the_way_is_named(place: Path, engine: Engine, audotics: Audotics):
    common = arguments(place, engine)
    post_days(engine, 16, 18)

    without_data = audotics(*common)
    unknown = audotics(*common, "--data", str(place / "base"), "--set", "nothing=1")
    with Lease(engine).held():
        held = audotics(*common, "--data", str(place / "base"))

    assert without_data.code == 2
    assert "--data" in without_data.err
    assert unknown.code == 2
    assert held.code == 3
    assert f"process {os.getpid()} is retraining already" in held.err


def test_it_watches_until_sigterm(place: Path, engine: Engine):
    watch = ("--watch", "--new-events", "500", "--poll", "0.1", "--pause", "0", "--json")
    program = str(Path(sys.executable).with_name("audotics"))
    command = [program, *arguments(place, engine), "--data", str(place / "base"), *watch]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        time.sleep(1.5)
        post_days(engine, 16, 18)
        report = json.loads(watching.stdout.readline())
        os.kill(watching.pid, signal.SIGTERM)
        assert watching.wait(20) == 0
    assert report["outcome"] == "promoted"
    assert report["trigger"].endswith("new events")
    assert Registry(place / "models").alias(CHAMPION) == report["version"]
    assert Lease(engine).holder() is None
