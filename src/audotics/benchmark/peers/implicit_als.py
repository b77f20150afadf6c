"""Matrix factorisation by alternating least squares (Hu, Koren & Volinsky, ICDM 2008) of ``implicit``."""

from __future__ import annotations

from typing import Any, ClassVar

from audotics.benchmark.peers.implicit_models import PLAY_STRENGTH, ImplicitModel
from audotics.benchmark.protocol import Settings
from audotics.retrieval.protocol import Choice, Range, SearchSpace


class ImplicitALS(ImplicitModel):
    """``implicit.als.AlternatingLeastSquares`` on the processor."""

    defaults: ClassVar[Settings] = {
        "factors": 64,
        "alpha": 10.0,
        "regularization": 30.0,
        "iterations": 15,
        "play_strength": 1.0,
    }
    space: ClassVar[SearchSpace] = {
        "factors": Choice((32, 64, 128, 256, 512)),
        "alpha": Range(0.5, 200.0, log=True),
        # Not scaled by the number of a listener's tracks, it must grow with alpha and the data.
        "regularization": Range(0.1, 1000.0, log=True),
        "play_strength": PLAY_STRENGTH,
    }

    def _new_model(self) -> Any:
        from implicit.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self._settings["factors"],
            alpha=self._settings["alpha"],
            regularization=self._settings["regularization"],
            iterations=self._settings["iterations"],
            num_threads=self._resources.threads,
            random_state=self._resources.seed,
            use_gpu=False,
        )
