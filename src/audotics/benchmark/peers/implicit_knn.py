"""Item-item nearest neighbours of ``implicit``: BM25 (Robertson & Walker, SIGIR 1994) and cosine."""

from __future__ import annotations

from typing import Any, ClassVar

from audotics.benchmark.peers.implicit_models import PLAY_STRENGTH, ImplicitModel
from audotics.benchmark.protocol import Settings
from audotics.retrieval.protocol import Choice, Range, SearchSpace

N_NEIGHBOURS = Choice((10, 20, 50, 100, 200, 500, 1000, 2000))


class ImplicitBM25(ImplicitModel):
    """``implicit.nearest_neighbours.BM25Recommender``."""

    defaults: ClassVar[Settings] = {"neighbours": 200, "k1": 1.2, "b": 0.75, "play_strength": 0.0}
    space: ClassVar[SearchSpace] = {
        "neighbours": N_NEIGHBOURS,
        "k1": Range(0.02, 200.0, log=True),
        "b": Range(0.0, 1.0),
        "play_strength": PLAY_STRENGTH,
    }

    def _new_model(self) -> Any:
        from implicit.nearest_neighbours import BM25Recommender

        return BM25Recommender(
            K=self._settings["neighbours"],
            K1=self._settings["k1"],
            B=self._settings["b"],
            num_threads=self._resources.threads,
        )


class ImplicitCosine(ImplicitModel):
    """``implicit.nearest_neighbours.CosineRecommender``."""

    defaults: ClassVar[Settings] = {"neighbours": 200, "play_strength": 0.0}
    space: ClassVar[SearchSpace] = {"neighbours": N_NEIGHBOURS, "play_strength": PLAY_STRENGTH}

    def _new_model(self) -> Any:
        from implicit.nearest_neighbours import CosineRecommender

        return CosineRecommender(K=self._settings["neighbours"], num_threads=self._resources.threads)
