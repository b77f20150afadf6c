"""Candidate lists in which something beyond a weighted sum of the features decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from audotics.data.interactions import Interactions
from audotics.ranking.config import ModelConfig, RankingWorld
from audotics.ranking.protocol import RankingExamples
from contract.ranking_lists import WEIGHTS, choose, random_inputs

N_USERS, N_TRACKS, N_GROUPS = 60, 90, 3

SMALL = ModelConfig(
    embedding_dim=8,
    hidden=(16,),
    n_experts=3,
    expert_width=8,
    embedding_rate=1.0,
    hashed_rows=4,
    batch_size=32,
    candidates_per_list=24,
    epochs=12,
    patience=4,
    learning_rate=5e-3,
    dropout=0.0,
    pretraining_epochs=4,
    pretraining_batch_size=64,
    pretraining_rate=2e-2,
)
"""Settings with which the deep ranker trains in seconds."""

GROUP_OF_TRACK = np.arange(N_TRACKS) % N_GROUPS
GROUP_OF_USER = np.arange(N_USERS) % N_GROUPS
CONTENT = np.eye(N_GROUPS, dtype=np.float32)[GROUP_OF_TRACK]
NO_CONTENT = np.zeros((N_TRACKS, 0), np.float32)


def world(content: np.ndarray = NO_CONTENT, interactions: Interactions | None = None) -> RankingWorld:
    return RankingWorld(N_USERS, content, interactions)


def group_interactions(seed: int = 0, n: int = 12) -> Interactions:
    """Every listener plays ``n`` tracks of the own group."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(group == GROUP_OF_TRACK))[:n] for group in GROUP_OF_USER]
    return Interactions.from_histories([row.tolist() for row in rows], N_TRACKS)


def with_utility(seed: int, n_lists: int, utility_of, strangers: bool = False) -> RankingExamples:
    """Lists whose plays follow ``features @ WEIGHTS / 2 + utility_of(inputs)``."""
    rng = np.random.default_rng(seed)
    inputs = random_inputs(rng, n_lists, n_users=N_USERS, n_tracks=N_TRACKS)
    users = np.full(n_lists, -1) if strangers else rng.integers(0, N_USERS, n_lists)
    inputs = replace(inputs, user_index=users.astype(np.int32))
    labels = choose(rng, inputs, inputs.features @ WEIGHTS * 0.5 + utility_of(inputs))
    return RankingExamples(inputs, labels[..., None], ("play",))


def taste(inputs) -> np.ndarray:
    """Listeners like tracks of their own group."""
    same = GROUP_OF_TRACK[inputs.track_index] == GROUP_OF_USER[inputs.user_index][:, None]
    return 4.0 * same


def crossing(inputs) -> np.ndarray:
    """Two features count only together."""
    return 2.0 * inputs.features[..., 4] * inputs.features[..., 5]


def recency(inputs) -> np.ndarray:
    """Tracks of the groups heard last are wanted again."""
    recent = np.where(inputs.recent >= 0, GROUP_OF_TRACK[inputs.recent], -1)
    share = (GROUP_OF_TRACK[inputs.track_index][..., None] == recent[:, None, :]).mean(axis=-1)
    return 8.0 * share
