from __future__ import annotations

import numpy as np
import pytest

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.queries import QueryBatch
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import new_retriever
from contract.planted import no_users, planted_events, planted_tracks

RETRIEVERS = ("ials", "item-knn")


@pytest.fixture(scope="session")
def planted() -> Corpus:
    return build_corpus(planted_events(), planted_tracks(), no_users())


@pytest.fixture(scope="session")
def generator(planted: Corpus) -> CandidateGenerator:
    settings = {"ials": {"rank": 8}, "item-knn": {}}
    return CandidateGenerator([new_retriever(name, settings[name]).fit(planted) for name in RETRIEVERS], 20)


@pytest.fixture(scope="session")
def everyone(planted: Corpus) -> QueryBatch:
    return QueryBatch.of_listeners(planted.interactions, np.arange(planted.n_users, dtype=np.int32))


@pytest.fixture(scope="session")
def recommender(planted: Corpus, generator: CandidateGenerator, everyone: QueryBatch) -> Recommender:
    assembler = FeatureAssembler.fit(planted, RETRIEVERS)
    candidates = generator.generate(everyone, Allowed.everything_unheard(everyone.size))
    inputs = assembler.assemble(everyone, candidates)
    assembler = assembler.scaled(inputs)
    labels = np.zeros((*inputs.track_index.shape, 1), np.float32)
    examples = RankingExamples(inputs, labels, ("play",))
    return Recommender(
        users=planted.users,
        tracks=planted.tracks,
        histories=planted.interactions,
        track_table=planted.track_table,
        unheard=Branch(generator, assembler, MeanRanker().fit(examples, examples)),
        model_version="test",
    )
