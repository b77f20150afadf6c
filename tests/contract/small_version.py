"""Small published versions for servers under test: they learn the planted world in a second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from scipy import sparse

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.features.persistence import save_processor
from audotics.features.processor import DataProcessor
from audotics.ranking.logistic import LogisticRanker
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender import bundle
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.registry.manifest import DatasetRecord, VersionRecord
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from audotics.retrieval.names import new_retriever
from audotics.retrieval.stand_ins import StandIns
from contract.planted import planted_events, planted_tracks, planted_users

RETRIEVERS = {"popularity": {}, "content": {}, "item-knn": {}, "ials": {"rank": 8}}

TRAINED_UNTIL = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
"""What happens after this is news to the small versions."""


def small_recommender(seed: int = 0) -> Recommender:
    """Fitted on the planted world; another seed gives other listeners the same tracks."""
    return recommender_over(build_corpus(planted_events(seed=seed), planted_tracks(), planted_users()))


def recommender_over(corpus: Corpus) -> Recommender:
    """Fitted on any corpus, with a ranker that takes the mean of the retrievers' scores."""
    generator = CandidateGenerator(
        [new_retriever(name, settings).fit(corpus) for name, settings in RETRIEVERS.items()], 30
    )
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=_branch(corpus, generator),
    )


def _branch(corpus: Corpus, generator: CandidateGenerator) -> Branch:
    everyone = QueryBatch.of_listeners(corpus.interactions, np.arange(corpus.n_users, dtype=np.int32))
    assembler = FeatureAssembler.fit(corpus, tuple(RETRIEVERS))
    candidates = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    inputs = assembler.assemble(everyone, candidates)
    assembler = assembler.scaled(inputs)
    labels = np.zeros((*inputs.track_index.shape, 1), np.float32)
    examples = RankingExamples(inputs, labels, ("play",))
    return Branch(
        generator,
        assembler,
        MeanRanker().fit(examples, examples),
        new=_new_tracks(assembler, corpus.n_tracks),
    )


def _new_tracks(assembler: FeatureAssembler, n_tracks: int) -> NewTracks:
    """None yet; those to come stand where item-kNN's lent score puts them."""
    ranker = LogisticRanker()
    ranker.feature_names_ = assembler.names
    ranker.weights_ = np.array([name == "item-knn:z" for name in assembler.names], np.float32)
    nobody = StandIns(np.zeros(0, np.int32), sparse.csr_matrix(np.zeros((0, n_tracks), np.float32)))
    return NewTracks(nobody, ranker, (1.0, 0.0))


def small_processors() -> dict[str, DataProcessor]:
    """What scikit-learn makes of the planted tracks, and of listeners with a country and an age."""
    tracks = planted_tracks().with_columns(feature_tempo=pl.int_range(90).cast(pl.Float64) % 7)
    users = planted_users().with_columns(
        country=pl.Series(["DE", "FR", "JP"] * 30), birth_year=pl.int_range(90).cast(pl.Int32) % 40 + 1960
    )
    return {
        "tracks": DataProcessor(n_components=8).fit(tracks),
        "users": DataProcessor(n_components=None).fit(users.drop("friends")),
    }


def publish_small(models_dir: Path, seed: int = 0, *, promote: bool = True) -> str:
    """Publish a small version as training would; its id."""
    registry = Registry(models_dir)
    recommender = small_recommender(seed)
    with registry.stage() as folder:
        bundle.save(recommender, folder)
        for name, processor in small_processors().items():
            save_processor(processor, folder / "features" / f"{name}.skops")
        version = registry.publish(
            folder,
            VersionRecord(
                name="small",
                code_version="test",
                config={},
                dataset=DatasetRecord(fingerprint="planted", ends_at=TRAINED_UNTIL),
                vocabulary_hash=bundle.vocabulary_hash(recommender.users, recommender.tracks),
            ),
        )
    if promote:
        registry.set_alias(CHAMPION, version)
    return version
