"""The trainings that `measure_ray.py train` compares: both deep models on a simulated service."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from audotics.data.corpus import build_corpus
from audotics.data.dataset import Dataset
from audotics.distributed.training import DeepJob, SequenceJob
from audotics.features.processor import DataProcessor
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.retrieval.names import new_retriever
from audotics.retrieval.sequence import SequenceConfig
from audotics.simulation import SimulationConfig, simulate
from audotics.training.config import TrainConfig
from audotics.training.lists import available_heads, ranking_examples
from audotics.training.preparation import hidden_fold, parted

RETRIEVERS = ("popularity", "item-knn", "content")


def jobs(folder: Path, n_events: int, steps: int, epochs: int) -> dict[str, DeepJob | SequenceJob]:
    """A training of each deep model on so many simulated events."""
    simulate(
        SimulationConfig(n_users=max(500, n_events // 100), n_tracks=5_000, n_days=60, n_events=n_events),
        folder / "dataset",
    )
    dataset = Dataset.open(folder / "dataset")
    corpus = build_corpus(dataset.events().collect(), dataset.tracks(), dataset.users())
    sequence = SequenceConfig(max_steps=steps, n_negatives=256)
    return {
        "sequence encoder": SequenceJob(sequence, corpus),
        "deep ranker": _deep(dataset, ModelConfig(epochs=epochs, patience=epochs)),
    }


def _deep(dataset: Dataset, config: ModelConfig) -> DeepJob:
    settings = TrainConfig(hide_from=1_000)
    fold = hidden_fold(dataset, settings)
    roles = parted(fold, settings)
    retrievers = [new_retriever(name, {}).fit(fold.visible) for name in RETRIEVERS]
    generator = CandidateGenerator(retrievers, settings.per_retriever)
    heads = available_heads(roles.teach.hidden)
    assembler = FeatureAssembler.fit(roles.teach.visible, RETRIEVERS)
    assembler = assembler.scaled(ranking_examples(roles.teach, generator, assembler, heads).inputs)
    teach, stop = (ranking_examples(one, generator, assembler, heads) for one in (roles.teach, roles.stop))
    content = np.asarray(DataProcessor().fit_transform(fold.corpus.track_table), np.float32)
    world = RankingWorld(fold.corpus.n_users, content, fold.visible.interactions)
    return DeepJob(config, world, teach, stop, np.ones(teach.inputs.track_index.shape, np.float32))
