"""A version's folder with two deep rankers in it, one inside a blend for long histories."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from audotics.ranking.blend import BlendRanker
from audotics.ranking.by_history import ByHistoryRanker
from audotics.ranking.deep import DeepRanker
from audotics.ranking.linear import LinearRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from contract.deep_worlds import CONTENT, SMALL, group_interactions, world
from contract.ranking_lists import linear_examples


@dataclass(frozen=True)
class DeepVersion:
    """Where the rankers of a version lie, as `audotics train` would have laid them."""

    folder: Path
    version: str = "20261123T101500Z-3f2a"
    number: int = 2026112310150016170


def _with_skips(examples: RankingExamples) -> RankingExamples:
    played = examples.labels[..., 0] > 0
    skips = np.where(played, examples.inputs.features[..., 4] > 0, np.nan)
    labels = np.stack([examples.labels[..., 0], skips], axis=-1).astype(np.float32)
    return RankingExamples(examples.inputs, labels, ("play", "skip"))


@pytest.fixture(scope="session")
def deep_version(tmp_path_factory: pytest.TempPathFactory) -> DeepVersion:
    """Not to be changed."""
    pytest.importorskip("tensorflow")
    folder = tmp_path_factory.mktemp("deep-version")
    train, validation = linear_examples(seed=1, n_lists=100), linear_examples(seed=2, n_lists=40)
    quick = SMALL.model_copy(update={"epochs": 1, "pretraining_epochs": 1})
    linear = LinearRanker().fit(train, validation)
    first = DeepRanker(world(CONTENT, group_interactions()), quick).fit(train, validation)
    other = quick.model_copy(update={"seed": 7, "embedding_dim": 4})
    second = DeepRanker(world(CONTENT), other).fit(_with_skips(train), _with_skips(validation))
    mean = MeanRanker().over(train.inputs.feature_names)
    for part, ranker in {
        "ranker": ByHistoryRanker(mean, linear, BlendRanker.of([linear, first])),
        "heard/ranker": second,
    }.items():
        (folder / part).mkdir(parents=True)
        ranker.save(folder / part)
    return DeepVersion(folder)


@pytest.fixture(scope="session")
def exported(deep_version: DeepVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its export for TensorFlow Serving; not to be changed."""
    from audotics.ranking.serving_export import export_for_tf_serving

    target = tmp_path_factory.mktemp("export")
    export_for_tf_serving(deep_version.folder, deep_version.version, target)
    return target
