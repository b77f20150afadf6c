"""What Dockerfile.server installs, installed here by its own lines: small, without TensorFlow, and it serves.

Docker itself is not needed: the lines of the build stage run in a folder of their own, against the same
package index. The image is this environment and its base, `python:3.11-slim-bookworm`, of about 130 MB.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from audotics.ranking.batches import model_inputs
from audotics.ranking.deep import DeepRanker
from audotics.ranking.runtimes.litert import LiteRTRuntime
from contract.audotics_server import AudoticsServer
from contract.deep_worlds import CONTENT, SMALL, world
from contract.deployment import ROOT, health_check, stages, values
from contract.ranking_lists import linear_examples
from contract.small_version import publish_small

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BASE_MB = 130
LIMIT_MB = 600
PLACE = "/opt/audotics"

# What would hide mistakes: the modules of this very checkout, and bytecode that is never written.
HIDING = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
CLEAN = {name: value for name, value in os.environ.items() if name not in HIDING}


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """The environment, made by the RUN lines that make it in the Dockerfile."""
    with tempfile.TemporaryDirectory(prefix="audotics-image-") as folder:
        source, place = Path(folder) / "source", Path(folder) / "audotics"
        shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "constraints.txt", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, source)
        script = source / "deploy" / "docker" / "slim-environment"
        script.parent.mkdir(parents=True)
        shutil.copy(ROOT / "deploy" / "docker" / "slim-environment", script)
        build, last = stages("Dockerfile.server")
        lines = [text for text in values(build, "RUN") if PLACE in text]
        lines += [text for text in values(last, "RUN") if text.startswith("python -c")]
        arguments = dict(text.split("=", 1) for text in values(build, "ARG"))
        for number, line in enumerate(lines):
            # The last stage has the environment's python first in its PATH, the build stage its own.
            folders = [place / "bin"] * (number > 0) + [Path(sys.executable).parent]
            path = os.pathsep.join([*map(str, folders), CLEAN["PATH"]])
            shell = ["/bin/sh", "-euc", line.replace(PLACE, str(place))]
            subprocess.run(shell, cwd=source, env={**CLEAN, **arguments, "PATH": path}, check=True)
        yield place


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    publish_small(folder)
    return folder


class ImageServer(AudoticsServer):
    """`audotics serve` from the image's environment, with nothing of this one in sight."""

    def __init__(self, image: Path, folder: Path, models: Path) -> None:
        super().__init__(folder, models)
        self.image = image

    def _command(self) -> list[str]:
        variables = {
            "PATH": f"{self.image / 'bin'}:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "AUDOTICS_MODELS": str(self.models),
            "AUDOTICS_PORT": str(self.port),
            "AUDOTICS_DATABASE_URL": f"sqlite:///{self.folder / 'journal.db'}",
        }
        given = [f"{name}={value}" for name, value in variables.items()]
        return ["env", "-i", *given, str(self.image / "bin" / "audotics"), "serve"]


@pytest.fixture(scope="module")
def server(image, models, tmp_path_factory) -> Iterator[ImageServer]:
    running = ImageServer(image, tmp_path_factory.mktemp("server"), models)
    try:
        running.start()
        yield running
    finally:
        running.stop()


def python(image: Path, program: str, *arguments: str) -> str:
    """What a program prints in the image's environment."""
    done = subprocess.run(
        [str(image / "bin" / "python"), "-c", program, *arguments],
        env={**CLEAN, "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=image,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_it_is_small_enough(image):
    sizes = [path.stat().st_size for path in image.rglob("*") if path.is_file() and not path.is_symlink()]
    size_mb = sum(sizes) / 1e6
    print(f"{size_mb:.0f} MB of {LIMIT_MB - BASE_MB}")
    assert size_mb < LIMIT_MB - BASE_MB


def test_it_has_neither_tensorflow_nor_tools_to_build_with(image):
    found = "from importlib.metadata import distributions; print(*sorted(d.name for d in distributions()))"
    installed = {name.lower() for name in python(image, found).split()}
    assert installed & {"tensorflow", "keras", "pip", "setuptools", "torch", "pytest", "hatchling"} == set()
    assert {"audotics", "ai-edge-litert", "redis", "psycopg", "fastapi"} <= installed


def test_it_is_the_package_and_no_link_to_the_source(image):
    where = python(image, "import audotics; print(audotics.__file__)")
    assert Path(where).is_relative_to(image)


def test_every_library_that_lost_symbols_still_loads(image):
    program = (
        "import ai_edge_litert.interpreter, polars, yaml, zstandard, uvloop\n"
        "import numpy.linalg, scipy.linalg, scipy.sparse.linalg, sklearn.decomposition, skops.io\n"
        "print(polars.DataFrame({'a': [1, 2]}).group_by('a').len()['len'].sum())\n"
        "print(len(zstandard.decompress(zstandard.compress(b'a' * 1000))))"
    )
    assert python(image, program).split() == ["2", "1000"]


def test_it_serves(server):
    status, health = server.get("/health/ready")
    assert (status, health["status"]) == (200, "ok")
    status, answer = server.get("/v1/users/u001/recommendations?k=3")
    assert status == 200
    assert answer["rung"] == "personalised"
    assert len(answer["tracks"]) == 3


def test_what_it_maps_has_no_tensorflow(server):
    mapped = Path(f"/proc/{server.pid}/maps").read_text()
    assert "polars" in mapped
    assert "tensorflow" not in mapped.replace("tensorflow_lite", "")


def test_its_modules_were_compiled_before(image, server):
    asked = (
        "import importlib.util as u, sys\n"
        "import audotics.serving.workers, audotics.recommender.bundle\n"
        "files = [m.__spec__.origin for m in list(sys.modules.values()) if getattr(m, '__spec__', None)]\n"
        "ours = [f for f in files if f and f.endswith('.py') and 'site-packages' in f]\n"
        "import os; print(len(ours), sum(not os.path.exists(u.cache_from_source(f)) for f in ours))"
    )
    n_modules, n_missing = map(int, python(image, asked).split())
    assert n_modules > 300
    assert n_missing == 0


def test_the_health_check_passes(server):
    environment = {**CLEAN, "AUDOTICS_PORT": str(server.port)}
    assert subprocess.run(health_check(), env=environment, check=False).returncode == 0


def test_it_scores_deep_rankers_as_this_environment_does(image, tmp_path):
    pytest.importorskip("tensorflow")
    train, validation = linear_examples(seed=1, n_lists=40), linear_examples(seed=2, n_lists=20)
    quick = SMALL.model_copy(update={"epochs": 1, "pretraining_epochs": 1})
    DeepRanker(world(CONTENT), quick).fit(train, validation).save(tmp_path)
    inputs = model_inputs(validation.inputs)
    np.savez(tmp_path / "inputs.npz", **inputs)
    program = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from audotics.ranking.runtimes.litert import LiteRTRuntime\n"
        "answer = LiteRTRuntime(Path(sys.argv[1]))(dict(np.load(sys.argv[2])))\n"
        "np.savez(sys.argv[3], **answer)"
    )
    files = [str(tmp_path / name) for name in ("model.tflite", "inputs.npz", "answer.npz")]
    python(image, program, *files)
    answer = np.load(files[-1])
    expected = LiteRTRuntime(tmp_path / "model.tflite")(inputs)
    assert set(answer) == set(expected)
    for name, logits in expected.items():
        np.testing.assert_allclose(answer[name], logits, atol=1e-6)
