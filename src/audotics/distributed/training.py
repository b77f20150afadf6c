"""Deep models trained by several workers that Ray Train starts, watches and starts again.

What runs in each worker is what runs in one process (`ranking.fitting.fit_model`,
`retrieval.sequence_training.train`), under TensorFlow's strategy for several workers. Keras' own `fit` does
not run under that strategy (keras-team/keras#20585); our steps do, row-sparse updates included.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from audotics.checkpoints import Checkpoints, State
from audotics.data.corpus import Corpus
from audotics.distributed.factorisation import IALSByWorkers
from audotics.distributed.workers import RayWorkers
from audotics.domain import FloatArray
from audotics.errors import AudoticsError, UnavailableError
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.deep import FitModel
from audotics.ranking.protocol import RankingExamples
from audotics.retrieval.ials import IALS
from audotics.retrieval.protocol import Arrays, Retriever
from audotics.retrieval.sequence import SequenceConfig, SequenceEncoder, SequenceHistory, SequenceStart
from audotics.training.learners import Learners

if TYPE_CHECKING:
    from audotics.ranking.fitting import FittedModel
    from audotics.replicas import Replicas

ATTEMPTS = 4
"""How often a training is begun or taken up before the deaths of workers are taken for its own fault."""

_CURVES = ("pretraining_loss", "loss", "validation_ndcg")


class Job(Protocol):
    """A training that several workers do together."""

    def run(self, replicas: Replicas, checkpoints: Checkpoints) -> State:
        """Train in a worker; what was learned, as arrays."""


@dataclass(frozen=True, slots=True)
class DeepJob:
    """The arguments of `fitting.fit_model`."""

    config: ModelConfig
    world: RankingWorld
    train: RankingExamples
    validation: RankingExamples
    weights: FloatArray

    def run(self, replicas: Replicas, checkpoints: Checkpoints) -> State:
        """Weights by place, and the learning curves."""
        from audotics.checkpoints import values_of
        from audotics.ranking.fitting import fit_model

        fitted = fit_model(
            self.config, self.world, self.train, self.validation, self.weights, replicas, checkpoints
        )
        curves = {name: np.array(getattr(fitted.history, name), np.float64) for name in _CURVES}
        return values_of(fitted.model.trainable_variables, "weights") | curves


@dataclass(frozen=True, slots=True)
class SequenceJob:
    """The arguments of `sequence_training.train`."""

    config: SequenceConfig
    corpus: Corpus
    start: SequenceStart | None = None

    def run(self, replicas: Replicas, checkpoints: Checkpoints) -> State:
        """What the encoder reads, and the learning curves."""
        from audotics.retrieval.sequence_training import train

        history = SequenceHistory()
        arrays = train(self.config, self.corpus, history, replicas, checkpoints, self.start)
        looks = np.array((history.steps, history.loss, history.gain), np.float64)
        return {**{f"learned.{name}": array for name, array in arrays.items()}, "looks": looks}


class RayLearners(Learners):
    """Trains the deep ranker, the sequence encoder and iALS on a Ray cluster, the rest in this process.

    Args:
        n_workers: Workers of a training, one replica each. They take a GPU each where there are enough.
        folder: For checkpoints and results; workers must see it under the same path. What is put there is
            removed when a training ends.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: The cluster that ``RAY_ADDRESS`` names is not there.
    """

    def __init__(self, n_workers: int, folder: Path) -> None:
        self._n_workers = n_workers
        self._folder = folder.absolute()
        self._workers = RayWorkers(n_workers)

    @property
    def fit_deep(self) -> FitModel:
        """Trains the deep ranker on the cluster."""
        return self._fit_deep

    def fit_retriever(self, retriever: Retriever, corpus: Corpus) -> Retriever:
        """The retriever, fitted: the sequence encoder and iALS on the cluster, any other one here."""
        if isinstance(retriever, IALS):
            return IALSByWorkers(retriever, self._workers).fit(corpus)
        if isinstance(retriever, SequenceEncoder):
            return _SequenceOnRay(retriever, self).fit(corpus)
        return super().fit_retriever(retriever, corpus)

    def run(self, job: Job) -> State:
        """Have a job done by the workers; what it learned.

        Raises:
            AudoticsError: What the job raised.
            UnavailableError: Workers died again and again.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="training-", dir=self._folder))
        try:
            self._train(job, folder)
            result = Checkpoints(folder / "result", writes=False).load()
            if result is None:
                raise AssertionError("the first worker has left no result")
            return result
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _train(self, job: Job, folder: Path) -> None:
        import ray
        from ray.train import FailureConfig, RunConfig, ScalingConfig
        from ray.train.tensorflow import TensorflowTrainer
        from ray.train.v2.api.exceptions import TrainingFailedError

        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        has_gpus = resources.get("GPU", 0) >= self._n_workers
        trainer = TensorflowTrainer(
            train_in_worker,
            # The job lies in Ray's object store, so machines fetch it themselves.
            train_loop_config={"job": ray.put(job), "folder": str(folder)},
            scaling_config=ScalingConfig(num_workers=self._n_workers, use_gpu=has_gpus),
            run_config=RunConfig(
                name="run",
                storage_path=str(folder / "ray"),
                failure_config=FailureConfig(max_failures=ATTEMPTS - 1),
            ),
        )
        try:
            trainer.fit()
        except TrainingFailedError as error:
            raise _cause(error) from error

    def _fit_deep(
        self,
        config: ModelConfig,
        world: RankingWorld,
        train: RankingExamples,
        validation: RankingExamples,
        weights: FloatArray,
    ) -> FittedModel:
        from audotics.checkpoints import assign_values
        from audotics.ranking.fitting import FittedModel, shape_of
        from audotics.ranking.model import DeepRecommender
        from audotics.ranking.training_loop import traced_scorer
        from audotics.ranking.training_state import TrainingHistory

        learned = self.run(DeepJob(config, world, train, validation, weights))
        shape = shape_of(world, train)
        model = DeepRecommender(config, shape)
        model.start_from(np.zeros(shape.n_features, np.float32), world.content)
        assign_values(model.trainable_variables, "weights", learned)
        history = TrainingHistory(**{name: learned[name].tolist() for name in _CURVES})
        return FittedModel(model, traced_scorer(model), history)


def train_in_worker(config: dict[str, Any]) -> None:
    """What Ray Train runs in each worker."""
    import ray
    import tensorflow as tf
    from ray import train

    from audotics.replicas import Replicas

    n_workers = train.get_context().get_world_size()
    strategy = tf.distribute.MultiWorkerMirroredStrategy() if n_workers > 1 else None
    replicas = Replicas(strategy)
    folder = Path(config["folder"])
    job: Job = ray.get(config["job"])
    learned = job.run(replicas, Checkpoints(folder / "checkpoints", writes=replicas.is_first))
    Checkpoints(folder / "result", writes=replicas.is_first).save(learned)


class _SequenceOnRay(SequenceEncoder):
    """Learns on the cluster, and is like any other one from then on."""

    def __init__(self, encoder: SequenceEncoder, learners: RayLearners) -> None:
        super().__init__(encoder.config)
        self._start = encoder._start
        self._learners = learners

    def learn(self, corpus: Corpus) -> Arrays:
        """Train the encoder and the track tower."""
        start, self._start = self._start, None
        learned = self._learners.run(SequenceJob(self.config, corpus, start))
        steps, loss, gain = learned["looks"].tolist()
        self.history_ = SequenceHistory([int(step) for step in steps], loss, gain)
        prefix = "learned."
        return {
            name.removeprefix(prefix): array for name, array in learned.items() if name.startswith(prefix)
        }


def _cause(error: Exception) -> AudoticsError:
    """What a worker raised on purpose, else that workers failed."""
    failures = getattr(error, "worker_failures", {}).values()
    for failure in failures:
        found = getattr(failure, "cause", failure)
        if isinstance(found, AudoticsError):
            return found
    said = str(next(iter(failures), error)).strip().splitlines() or [""]
    return UnavailableError(
        f"the training failed on {ATTEMPTS} attempts ({said[-1][:200]})",
        where="Ray Train",
        remedy="Give each worker more memory, or train with --engine local",
    )
