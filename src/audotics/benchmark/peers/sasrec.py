"""SASRec, causal self-attention over the history (Kang & McAuley, ICDM 2018), of ``cornac`` 3."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import ClassVar, Self

import numpy as np

from audotics.benchmark.peers.scoring import best_tracks
from audotics.benchmark.protocol import Resources, Settings
from audotics.data.interactions import Interactions
from audotics.domain import PADDING, FloatArray, IndexArray
from audotics.retrieval.protocol import Choice, Range, SearchSpace


class CornacSASRec:
    """``cornac.models.SASRec``: each listener's tracks are one session, oldest first.

    The library trains on every beginning of every session, padded to ``max_len``: the time of an epoch is
    the number of plays times ``max_len``.
    """

    defaults: ClassVar[Settings] = {
        "dim": 64,
        "loss": "ce",
        "learning_rate": 0.001,
        "dropout": 0.2,
        "epochs": 10,
        "max_len": 20,
        "sample_alpha": 0.5,
    }
    space: ClassVar[SearchSpace] = {
        "dim": Choice((32, 64, 128)),
        "learning_rate": Range(0.0003, 0.005, log=True),
        "dropout": Range(0.1, 0.6),
        "epochs": Choice((5, 10, 20, 40)),
        "max_len": Choice((20, 50, 100)),
        "sample_alpha": Choice((0.0, 0.5)),
    }

    def __init__(self, settings: Settings, resources: Resources) -> None:
        import torch
        from cornac.models import SASRec

        torch.set_num_threads(resources.threads)
        self._max_len = int(settings["max_len"])
        self._new_model = partial(
            SASRec,
            embedding_dim=settings["dim"],
            loss=settings["loss"],
            learning_rate=settings["learning_rate"],
            dropout=settings["dropout"],
            n_epochs=settings["epochs"],
            max_len=self._max_len,
            sample_alpha=settings["sample_alpha"],
            batch_size=256,
            n_sample=1024,
            seed=resources.seed,
        )

    def fit(self, histories: Interactions) -> Self:
        """Train on the next track of every place of every listener's history."""
        from cornac.data import SequentialDataset

        # A fitted model goes on with the draws where it stopped; a new one begins anew.
        self._model = self._new_model()
        self._histories = histories
        users, tracks = range(histories.n_rows), range(histories.n_tracks)
        row_index = histories.row_index
        sessions = SequentialDataset(
            num_users=histories.n_rows,
            num_sessions=histories.n_rows,
            num_items=histories.n_tracks,
            uid_map=OrderedDict(zip(users, users, strict=True)),
            sid_map=OrderedDict(zip(users, users, strict=True)),
            iid_map=OrderedDict(zip(tracks, tracks, strict=True)),
            uir_tuple=(row_index, histories.track_index, np.ones(histories.n_pairs)),
            session_indices=row_index,
        )
        self._model.fit(sessions)
        # An embedding that no session touched is as it was drawn.
        self._untrained = np.bincount(histories.track_index, minlength=histories.n_tracks) == 0
        return self

    def recommend(self, user_index: IndexArray, k: int, *, include_heard: bool) -> IndexArray:
        """See `Peer`."""
        return best_tracks(self._score, self._histories, user_index, k, include_heard=include_heard)

    def _score(self, user_index: IndexArray) -> FloatArray:
        latest = self._histories.rows(user_index).latest(self._max_len).astype(np.int64)
        latest[latest == PADDING] = self._histories.n_tracks
        self._model.model.eval()
        scores = np.array(self._model.model.predict(None, latest), dtype=np.float32)
        scores = scores.reshape(len(user_index), self._histories.n_tracks)
        scores[:, self._untrained] = -np.inf
        return scores
