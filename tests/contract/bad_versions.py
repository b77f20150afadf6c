"""Versions that are bad in their files, and load, verify and answer all the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from audotics.data.vocabulary import Vocabulary
from audotics.ranking.logistic import LogisticRanker
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender
from audotics.registry import Registry
from audotics.registry.manifest import DatasetRecord, VersionRecord
from contract.small_version import TRAINED_UNTIL, small_recommender


def upside_down(seed: int = 1) -> Recommender:
    """The ranker's weights have the wrong sign: the worst of the candidates come first."""
    recommender = small_recommender(seed)
    names = recommender.unheard.assembler.names
    ranker = LogisticRanker()
    ranker.feature_names_ = names
    ranker.weights_ = np.array([-float(name.endswith(":z")) for name in names], np.float32)
    recommender.unheard = replace(recommender.unheard, ranker=ranker)
    return recommender


def permuted(seed: int = 1) -> Recommender:
    """The ids of the tracks stand in another order than everything that was learned about them."""
    recommender = small_recommender(seed)
    order = np.random.default_rng(seed).permutation(len(recommender.tracks)).tolist()
    recommender.tracks = Vocabulary(recommender.tracks.ids[place] for place in order)
    return recommender


MAKERS = {"upside_down": upside_down, "permuted": permuted}


def publish_bad(models_dir: Path, kind: str, seed: int = 1) -> str:
    """Publish one; its id. No alias names it."""
    registry = Registry(models_dir)
    recommender = MAKERS[kind](seed)
    with registry.stage() as folder:
        bundle.save(recommender, folder)
        return registry.publish(
            folder,
            VersionRecord(
                name=kind,
                code_version="test",
                config={},
                dataset=DatasetRecord(fingerprint="planted", ends_at=TRAINED_UNTIL),
                vocabulary_hash=bundle.vocabulary_hash(recommender.users, recommender.tracks),
            ),
        )
