"""Bayesian personalised ranking (Rendle et al., UAI 2009) of ``implicit``."""

from __future__ import annotations

from typing import Any, ClassVar

from audotics.benchmark.peers.implicit_models import ImplicitModel
from audotics.benchmark.protocol import Settings
from audotics.retrieval.protocol import Choice, Range, SearchSpace


class ImplicitBPR(ImplicitModel):
    """``implicit.bpr.BayesianPersonalizedRanking`` on the processor."""

    defaults: ClassVar[Settings] = {
        "factors": 64,
        "learning_rate": 0.05,
        "regularization": 0.01,
        "iterations": 100,
    }
    space: ClassVar[SearchSpace] = {
        "factors": Choice((32, 64, 128, 256)),
        "learning_rate": Range(0.005, 0.3, log=True),
        "regularization": Range(0.0005, 0.2, log=True),
        "iterations": Choice((50, 100, 200, 400)),
    }

    def _new_model(self) -> Any:
        from implicit.bpr import BayesianPersonalizedRanking

        return BayesianPersonalizedRanking(
            factors=self._settings["factors"],
            learning_rate=self._settings["learning_rate"],
            regularization=self._settings["regularization"],
            iterations=self._settings["iterations"],
            num_threads=self._resources.threads,
            random_state=self._resources.seed,
            use_gpu=False,
        )
