from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.domain import Query
from audotics.errors import BadInputError, DamagedError, MissingExtraError
from audotics.evaluation.report import Task
from audotics.features.persistence import load_processor
from audotics.ranking.config import RankingWorld
from audotics.ranking.protocol import RankingExamples, RankingInputs
from audotics.recommender import bundle
from audotics.registry import Registry
from audotics.telemetry import Progress
from audotics.training.assessment import assess
from audotics.training.config import TrainConfig, read_config
from audotics.training.judging import HYBRID
from audotics.training.pipeline import Trained, TrainingPipeline
from audotics.training.publishing import load_report, load_version, publish
from audotics.training.rankers import RankerFactory
from contract.planted import genre_of, planted_events, planted_tracks


def test_the_result_knows_all_of_the_data(trained: Trained, dataset: Dataset) -> None:
    events = dataset.events().collect()
    assert trained.recommender.histories.n_pairs == events.n_unique(["user_id", "track_id"])
    assert len(trained.recommender.users) == events["user_id"].n_unique()


def test_planted_genres_are_recovered(trained: Trained, dataset: Dataset) -> None:
    events = dataset.events().collect()
    homes = dict(
        events.with_columns(genre=pl.col("track_id").map_elements(genre_of, return_dtype=pl.String))
        .group_by("user_id")
        .agg(pl.col("genre").mode().first())
        .iter_rows()
    )
    slates = trained.recommender.recommend([Query(user_id=user_id, k=5) for user_id in homes])
    shares = [np.mean([genre_of(t) == homes[s.user_id or ""] for t in s.track_ids]) for s in slates]
    assert np.mean(shares) > 0.85


def test_the_report_compares_the_whole_with_its_parts(trained: Trained) -> None:
    names = {system.name for system in trained.report.systems}
    assert names == {HYBRID, "item-knn", "rp3beta", "popularity"}
    assert trained.report.reference.name == HYBRID
    hybrid = trained.report.reference.metrics["ndcg@20"].mean
    assert hybrid > 1.3 * trained.report.system("popularity").metrics["ndcg@20"].mean


def test_one_ranker_serves_and_settings_are_kept(trained: Trained) -> None:
    assert sum(standing.chosen for standing in trained.standings) == 1
    chosen = next(standing.name for standing in trained.standings if standing.chosen)
    assert trained.recommender.unheard.ranker.many.name == chosen
    assert set(trained.tuned) == {"item-knn", "rp3beta", "popularity"}


def test_training_twice_gives_the_same_lists(trained: Trained, dataset: Dataset) -> None:
    config = trained.config.model_copy(update={"settings": trained.tuned})
    queries = [Query(user_id=user_id, k=5) for user_id in trained.recommender.users.ids[:10]]
    first, second = (TrainingPipeline(config).train(dataset).recommender.recommend(queries) for _ in range(2))
    assert [slate.track_ids for slate in first] == [slate.track_ids for slate in second]


def test_stages_are_told(dataset: Dataset) -> None:
    progress = Progress()
    config = TrainConfig(retrievers=("popularity",), rankers=("mean",), tune_trials=1)
    TrainingPipeline(config, progress).train(dataset)
    assert [record.name for record in progress.records][:2] == ["read and hide", "tune popularity"]


def test_too_little_data_is_said(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "tiny", source="tiny") as writer:
        writer.add_events(planted_events(n_users=4))
        writer.set_table("tracks", planted_tracks())
        tiny = writer.commit()
    with pytest.raises(BadInputError, match="only 4 listeners"):
        TrainingPipeline(TrainConfig(rankers=("mean",))).train(tiny)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrievers": ("magic",)}, "magic"),
        ({"rankers": ("magic",)}, "magic"),
        ({"rankers": ()}, "at least 1"),
        ({"settings": {"magic": {}}}, "magic"),
        ({"settings": {"item-knn": {"magic": 1}}}, r"settings\.item-knn\.magic: there is no such setting"),
        ({"deep": {"magic": 1}}, r"deep\.magic"),
        ({"seed": -1}, "seed"),
        ({"split": "magic"}, "split"),
        ({"rankers": "mean"}, "a list is needed"),
    ],
)
def test_unusable_settings_are_refused_before_any_work(settings: dict[str, object], message: str) -> None:
    assignments = [f"{key}={_toml(value)}" for key, value in settings.items()]
    with pytest.raises(BadInputError, match=message):
        read_config(None, assignments)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_a_published_version_answers_like_the_trained_one(
    trained: Trained, dataset: Dataset, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "models")
    version = publish(trained, dataset, registry, "first", Progress())
    assert registry.alias("champion") == version
    manifest = registry.show("champion")
    assert manifest.dataset.fingerprint == dataset.manifest.fingerprint
    assert manifest.config["ranker"] == trained.recommender.unheard.ranker.many.name
    loaded = load_version(registry)
    queries = [Query(user_id=user_id, k=6) for user_id in loaded.users.ids]
    before, after = trained.recommender.recommend(queries), loaded.recommend(queries)
    assert [slate.track_ids for slate in before] == [slate.track_ids for slate in after]
    assert load_report(registry).model_dump() == trained.report.model_dump()
    for name, table in (("tracks", dataset.tracks()), ("users", dataset.users())):
        processor = load_processor(registry.folder(version) / "features" / f"{name}.skops")
        assert processor.transform(table).shape == (table.height, processor.n_features_out_)
    victim = registry.folder(version) / "tracks.parquet"
    victim.chmod(0o600)
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError, match=r"tracks\.parquet"):
        load_version(registry)


def test_vocabulary_hashes_stand_in_the_manifest(trained: Trained, dataset: Dataset, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models")
    publish(trained, dataset, registry, "hashed", Progress())
    expected = bundle.vocabulary_hash(trained.recommender.users, trained.recommender.tracks)
    assert registry.show("latest").vocabulary_hash == expected


def test_assessment_on_a_given_test(trained: Trained, dataset: Dataset) -> None:
    heard = dataset.events().collect().select("user_id", "track_id")
    everything = heard.select("user_id").unique().join(heard.select("track_id").unique(), how="cross")
    test = everything.join(heard, on=["user_id", "track_id"], how="anti").filter(
        pl.struct("user_id", "track_id").hash(seed=1) % 10 == 0
    )
    report = assess(
        trained.recommender, dataset, test, baselines=True, task=Task.DISCOVER, progress=Progress()
    )
    assert {system.name for system in report.systems} == {HYBRID, "item-knn", "rp3beta", "popularity"}
    assert report.test.n_pairs == test.height
    assert report.reference.n_without_lists == 0


def test_settings_come_from_file_and_assignments(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("seed = 3\ntune_trials = 7\n[settings.ials]\nrank = 16\n")
    config = read_config(path, ["tune_trials=2", "settings.ials.rank=32", 'rankers=["mean"]'])
    assert (config.seed, config.tune_trials) == (3, 2)
    assert config.settings == {"ials": {"rank": 32}}
    assert config.rankers == ("mean",)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("seed", "no assignment"), ("sed=1", "sed"), ("tune_trials=-1", "tune_trials"), ("seed=many", "seed")],
)
def test_bad_settings_are_named(assignment: str, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read_config(None, [assignment])


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text("seed = = 1")
    with pytest.raises(BadInputError, match=r"broken\.toml"):
        read_config(path, [])


def test_rankers_that_cannot_be_fitted_sit_out(trained: Trained, dataset: Dataset) -> None:
    world = RankingWorld(10, np.zeros((5, 0), np.float32))
    factory = RankerFactory(TrainConfig(rankers=("mean", "linear", "boosted")), world)
    taught = trained_lists(hit=True)
    rankers = factory.fit_all(taught, trained_lists(hit=False), Progress())
    assert [ranker.name for ranker in rankers] == ["mean", "linear"]
    assert set(factory.left_out) == {"boosted"}
    nothing = RankerFactory(TrainConfig(rankers=("linear",)), world)
    rankers = nothing.fit_all(trained_lists(hit=False), trained_lists(hit=False), Progress())
    assert [ranker.name for ranker in rankers] == ["mean"]


def trained_lists(*, hit: bool) -> RankingExamples:
    """Twenty lists of five candidates, the first one played or none."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20, 5, 2)).astype(np.float32)
    tracks = np.tile(np.arange(5, dtype=np.int32), (20, 1))
    nothing = np.zeros((20, 0), np.float32)
    users = np.arange(20, dtype=np.int32) % 10
    inputs = RankingInputs(features, ("a:z", "b:z"), tracks, users, nothing, nothing.astype(np.int32))
    labels = np.zeros((20, 5, 1), np.float32)
    labels[:, 0] = hit
    return RankingExamples(inputs, labels, ("play",))


def test_without_tensorflow_the_deep_ranker_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audotics.training.rankers.find_spec", lambda name: None)
    world = RankingWorld(10, np.zeros((5, 0), np.float32))
    assert "deep" in RankerFactory(TrainConfig(rankers=("mean", "deep")), world).left_out
    with pytest.raises(MissingExtraError, match="tensorflow"):
        RankerFactory(TrainConfig(rankers=("deep",)), world)


def test_seeds_reach_the_rankers() -> None:
    world = RankingWorld(10, np.zeros((5, 0), np.float32))
    factory = RankerFactory(TrainConfig(seed=5, rankers=("linear", "boosted")), world)
    assert factory.new("linear").seed == factory.new("boosted").seed == 5  # type: ignore[attr-defined]


def test_no_single_retriever_serves_heard_and_unheard_tracks() -> None:
    world = RankingWorld(10, np.zeros((5, 0), np.float32))
    for include_heard, expected in ((False, ("single", "mean")), (True, ("mean",))):
        config = TrainConfig(rankers=("single", "mean"), include_heard=include_heard)
        assert RankerFactory(config, world).names == expected
