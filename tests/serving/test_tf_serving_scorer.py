"""A server whose deep rankers are scored through a stand-in for TensorFlow Serving."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("tensorflow_serving")

from audotics.cli.main import app
from audotics.domain import Query
from audotics.errors import UnavailableError
from audotics.ranking.runtimes.choice import ScorerChoice
from audotics.ranking.runtimes.naming import version_number
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.serving.following import ModelFollower
from audotics.serving.served import Runtimes, Served
from audotics.slate import SlateConfig
from contract.audotics_server import AudoticsServer
from contract.planted import planted_events, planted_tracks
from contract.services import wait_until
from contract.tf_serving import TFServing

if TYPE_CHECKING:
    from conftest import StartServer

_SMALL_DEEP = (
    *(
        "--set",
        'retrievers=["item-knn", "popularity"]',
        "--set",
        'rankers=["deep"]',
        "--set",
        "tune_trials=1",
    ),
    *("--set", "deep.epochs=1", "--set", "deep.pretraining_epochs=1", "--set", "deep.embedding_dim=8"),
)


@dataclass(frozen=True)
class DeepModels:
    """A folder with one version, whose ranker is deep, and its export."""

    folder: Path
    export: Path
    version: str
    listener: str


def run(*arguments: object) -> None:
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> DeepModels:
    """Trained and exported by commands."""
    folder = tmp_path_factory.mktemp("deep")
    planted_events().select("user_id", "track_id", "plays").write_csv(folder / "plays.csv")
    planted_tracks().select("track_id", "title", "artist_id", "artist").write_csv(folder / "tracks.csv")
    run("import", folder / "plays.csv", "--tracks", folder / "tracks.csv", "--out", folder / "dataset")
    models, export = folder / "models", folder / "export"
    run("train", folder / "dataset", "--models", models, *_SMALL_DEEP)
    run("models", "export", "champion", export, "--to", "tf-serving", "--models", models)
    listener = planted_events()["user_id"].value_counts(sort=True)["user_id"][0]
    return DeepModels(models, export, Registry(models).resolve(CHAMPION), listener)


@pytest.fixture(scope="module")
def started(deep: DeepModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TFServing]:
    server = TFServing(tmp_path_factory.mktemp("tf-serving"), deep.export)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def tf_serving(started: TFServing) -> Iterator[TFServing]:
    yield started
    started.recover()
    started.fault()


def runtimes(setting: str, deadline_s: float = 20.0) -> Runtimes:
    return partial(ScorerChoice.parse(setting).runtime, deadline_s=deadline_s)


def recommended(served: Served, listener: str) -> tuple[tuple[str, ...], np.ndarray]:
    (slate,) = served.recommender.recommend([Query(user_id=listener, k=10)])
    return slate.track_ids, slate.scores


@pytest.mark.parametrize("scorer", ["grpc", "http", "tensorflow"])
def test_slates_are_those_of_litert(deep: DeepModels, tf_serving: TFServing, scorer: str) -> None:
    addresses = {"grpc": f"grpc://{tf_serving.grpc_address}", "http": f"http://{tf_serving.rest_address}"}
    load = partial(Served.load, deep.folder, CHAMPION, SlateConfig())
    near, far = load(), load(runtimes(addresses.get(scorer, scorer)))
    before = tf_serving.n_requests
    tracks, scores = recommended(far, deep.listener)
    expected_tracks, expected_scores = recommended(near, deep.listener)
    assert tracks == expected_tracks
    np.testing.assert_allclose(scores, expected_scores, atol=1e-5)
    assert (tf_serving.n_requests > before) is (scorer in addresses)


def test_a_version_serves_before_its_scorer_is_there(deep: DeepModels, tf_serving: TFServing) -> None:
    tf_serving.fault("error")
    scorer = runtimes(f"grpc://{tf_serving.grpc_address}")
    held = ModelFollower(deep.folder, CHAMPION, SlateConfig(), runtimes=scorer)
    assert held.current.version == deep.version
    with pytest.raises(UnavailableError):
        recommended(held.current, deep.listener)
    by_votes = held.current.by_votes(Query(user_id=deep.listener, k=10), {})
    assert by_votes is not None
    assert len(by_votes.track_ids) == 10


def test_a_swap_waits_until_the_scorer_has_the_version(
    deep: DeepModels, tf_serving: TFServing, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    shutil.copytree(deep.folder, registry.models_dir)
    scorer = runtimes(f"grpc://{tf_serving.grpc_address}")
    held = ModelFollower(registry.models_dir, CHAMPION, SlateConfig(), runtimes=scorer)
    with registry.stage() as staging:
        shutil.copytree(registry.folder(deep.version), staging, dirs_exist_ok=True)
        (staging / "manifest.json").unlink()
        second = registry.publish(staging, registry.show(deep.version))
    registry.set_alias(CHAMPION, second)
    assert not held.check()
    assert held.current.version == deep.version
    assert str(version_number(second)) in held.trouble
    assert recommended(held.current, deep.listener)[0]


def test_a_server_answers_with_and_without_it(
    deep: DeepModels, tf_serving: TFServing, start_server: StartServer
) -> None:
    """Up without TensorFlow in it; steps down while the scorer is away, and climbs back by itself."""
    server = start_server(
        deep, scorer=f"grpc://{tf_serving.grpc_address}", scorer_deadline_ms=2000, deadline_ms=5000
    )
    path = f"/v1/users/{deep.listener}/recommendations?k={{}}"

    def served(k: int) -> str:
        status, answer = server.get(path.format(k))
        assert status == 200
        assert len(answer["tracks"]) == k
        return str(answer["rung"])

    # Another length each time: the cache holds what was answered before.
    lengths = iter(range(5, 60))
    assert served(next(lengths)) == "personalised"
    maps = Path(f"/proc/{server.pid}/maps").read_text()
    assert "libtensorflow" not in maps
    tf_serving.stop()
    assert served(next(lengths)) == "retrieval"
    tf_serving.start()
    wait_until(lambda: served(next(lengths, 5)) == "personalised", "answers are personal again")


@pytest.mark.parametrize("scorer", ["onnx", "grpc://host"])
def test_a_scorer_that_is_none_is_said_at_the_start(deep: DeepModels, tmp_path: Path, scorer: str) -> None:
    code, said = AudoticsServer(tmp_path, deep.folder, scorer=scorer).start_and_fail()
    assert code == 2
    assert f"scorer: '{scorer}' is not a scorer. Give litert" in said
