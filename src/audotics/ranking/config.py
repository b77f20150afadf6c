"""ModelConfig: every setting of the deep ranker, and the shape of the data it was built for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from audotics.data.interactions import Interactions
from audotics.domain import FloatArray
from audotics.ranking.vectors import VectorStart


class ModelConfig(BaseModel):
    """Settings of `DeepRecommender`, its pre-training and its training.

    The defaults suit some thousand to some million lists; tuning changes mainly ``learning_rate``,
    ``l2``, ``dropout`` and ``embedding_dim``. Few lists make short passes, so ``epochs`` and
    ``patience`` are long: the first dozen steps often cost a little before anything is gained.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    embedding_dim: int = Field(64, ge=1, le=1024, description="Length of user and track embeddings")
    hidden: tuple[int, ...] = Field((64,), min_length=1, description="Widths of the layers all heads share")
    n_experts: int = Field(4, ge=1, description="Experts that several heads mix; one head has one expert")
    expert_width: int = Field(16, ge=1, description="Width of each expert")
    hashed_rows: int = Field(64, ge=1, description="Embedding rows shared by ids that training never saw")
    dropout: float = Field(0.1, ge=0, lt=1, description="Share of hidden units left out in training")
    id_dropout: float = Field(
        0.1, ge=0, lt=1, description="Share of user and track ids hidden in training, so that unseen ids work"
    )
    l2: float = Field(1e-5, ge=0, description="Penalty on the weights of the dense layers")
    learning_rate: float = Field(3e-3, gt=0, description="Step of Adam for the ranking lists")
    embedding_rate: float = Field(
        0.0,
        ge=0,
        description="Step of embeddings on lists, as a share of learning_rate; 0 leaves them as pairs taught",
    )
    averaging: float = Field(
        0.98, ge=0, lt=1, description="Share of the running mean of the dense weights kept at every step"
    )
    batch_size: int = Field(64, ge=1, description="Lists per step")
    candidates_per_list: int = Field(
        512, ge=2, description="Candidates per training list: positives and sampled negatives"
    )
    candidates_per_pass: int = Field(
        400_000,
        ge=1,
        description="About how many candidates a pass reads; many lists get fewer each (64 at least)",
    )
    epochs: int = Field(40, ge=0, description="Passes over the lists at most")
    patience: int = Field(8, ge=1, description="Passes without a better validation NDCG@20 before stopping")
    head_weight: float = Field(0.2, ge=0, description="Weight of each head beside play in the loss")
    pretraining_epochs: int = Field(6, ge=0, description="Passes of the two-tower model; 0 leaves it out")
    pretraining_batch_size: int = Field(1024, ge=2, description="Pairs per step; the others are negatives")
    pretraining_pairs: int = Field(300_000, ge=1, description="Pairs drawn for one pass at most")
    pretraining_rate: float = Field(5e-3, gt=0, description="Step of Adam for the two-tower model")
    seed: int = Field(0, ge=0, description="Fixes starting weights, dropout, sampling and shuffling")
    device: Literal["auto", "cpu", "gpu"] = Field(
        "auto", description="Where it is trained; auto takes a GPU where there is one"
    )
    mixed_precision: bool = Field(
        False, description="Train wide layers in bfloat16, with weights and scores in float32; for GPUs"
    )
    xla: bool = Field(
        False, description="Compile the step on lists with XLA; needs embedding_rate 0, pays on GPUs"
    )

    @model_validator(mode="after")
    def _can_be_compiled(self) -> Self:
        if self.xla and self.embedding_rate:
            raise ValueError("xla needs embedding_rate 0: which rows a step moves is not known before")
        return self


class ModelShape(BaseModel):
    """What the data fixes about the model; saved beside the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_users: int = Field(ge=0)
    n_tracks: int = Field(ge=0)
    n_content: int = Field(ge=0)
    n_features: int = Field(ge=1)
    n_context: int = Field(ge=0)
    n_recent: int = Field(ge=0)
    heads: tuple[str, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class RankingWorld:
    """What the deep ranker knows of listeners and tracks beside the candidate lists.

    Args:
        n_users: Size of the listener vocabulary.
        content: ``[n_tracks, n_content]`` processed content of every track, scaled to order one;
            ``n_content`` may be 0.
        interactions: Pairs for pre-training, ``[n_users, n_tracks]``; they must not hold the plays that
            are labels of the training or validation lists. None leaves pre-training out.
        start: Where listeners and tracks begin; whoever learned it must not know those plays either.
    """

    n_users: int
    content: FloatArray
    interactions: Interactions | None = None
    start: VectorStart | None = None

    @property
    def n_tracks(self) -> int:
        """Size of the track vocabulary."""
        return int(np.shape(self.content)[0])
