"""Matrix factorisation by alternating least squares (Hu, Koren & Volinsky, ICDM 2008) of ``implicit``."""

from __future__ import annotations

from typing import Any, ClassVar

from audotics.benchmark.peers.implicit_models import PLAY_STRENGTH, ImplicitModel
from audotics.benchmark.protocol import Settings
from audotics.retrieval.protocol import Choice, Range, SearchSpace


class ImplicitALS(ImplicitModel):
    """``implicit.als.AlternatingLeastSquares`` on the processor.

    The library's regularisation is not scaled by anything, so what suits it grows with alpha: it is
    searched as a multiple of alpha, which parts the two.
    """

    defaults: ClassVar[Settings] = {
        "factors": 128,
        "alpha": 30.0,
        "regularization_per_alpha": 3.0,
        "iterations": 15,
        "play_strength": 1.0,
    }
    space: ClassVar[SearchSpace] = {
        "factors": Choice((32, 64, 128, 256, 512)),
        "alpha": Range(1.0, 200.0, log=True),
        "regularization_per_alpha": Range(0.03, 20.0, log=True),
        "play_strength": PLAY_STRENGTH,
    }

    def _new_model(self) -> Any:
        from implicit.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self._settings["factors"],
            alpha=self._settings["alpha"],
            regularization=self._settings["regularization_per_alpha"] * self._settings["alpha"],
            iterations=self._settings["iterations"],
            num_threads=self._resources.threads,
            random_state=self._resources.seed,
            use_gpu=False,
        )
