"""The forward pass of the sequence encoder in plain numpy: scoring needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from audotics.domain import BoolArray, FloatArray
from audotics.retrieval.sequence_inputs import Sequences

Weights: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Learned arrays by name: ``track_vectors [n_tracks, dim]``, ``pauses [N_PAUSES, dim]``, ``norm [2, dim]``
and, for each block ``b``, ``{b}_{name}`` for the names of `block_shapes`."""

NORM_EPSILON = 1e-5
UNSEEN = np.float32(-1e9)
"""Added to the logits of what attention must not see."""

_ROWS_AT_ONCE = 256
"""Bounds the memory of one pass: about 25 MB at 50 tracks and 64 dimensions."""


def block_shapes(dim: int, n_heads: int, length: int) -> dict[str, tuple[int, ...]]:
    """Shapes of one block's weights by name; norms hold a row of scales and a row of shifts."""
    return {
        "attention_norm": (2, dim),
        "query_key_value": (dim, 3 * dim),
        "distance": (n_heads, length),
        "attended": (dim, dim),
        "dense_norm": (2, dim),
        "up": (dim, 2 * dim),
        "up_shift": (2 * dim,),
        "down": (2 * dim, dim),
        "down_shift": (dim,),
    }


def encode(weights: Weights, sequences: Sequences) -> FloatArray:
    """What should come after each sequence, as a vector ``[n, dim]``; 0 after an empty one.

    Blocks normalise first (Xiong et al. 2020), then attend to what came before, with a learned bias for
    each head and distance (as in T5, Raffel et al. 2020), so that a place means the same wherever the
    sequence begins; then follows a layer of GELU units. Of the last block only the last place is computed.
    """
    n, dim = len(sequences.tracks), weights["norm"].shape[1]
    encoded = np.zeros((n, dim), np.float32)
    for start in range(0, n, _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        encoded[rows] = _encode(weights, sequences.tracks[rows], sequences.pauses[rows])
    return encoded


def _encode(weights: Weights, tracks: npt.NDArray[Any], pauses: npt.NDArray[Any]) -> FloatArray:
    # Columns that are padding in every row say nothing.
    used = max(1, int(np.count_nonzero(tracks >= 0, axis=1).max()))
    tracks, pauses = tracks[:, -used:], pauses[:, -used:]
    present = tracks >= 0
    states: FloatArray = weights["track_vectors"][np.maximum(tracks, 0)] + weights["pauses"][pauses]
    n_blocks = sum(name.endswith("_distance") for name in weights)
    for number in range(n_blocks):
        block = {name: weights[f"{number}_{name}"] for name in block_shapes(1, 1, 1)}
        states = _block(block, states, present, n_last=1 if number == n_blocks - 1 else used)
    encoded = _normed(states[:, -1], weights["norm"])
    encoded[~present[:, -1]] = 0.0
    return encoded


def _block(block: Weights, states: FloatArray, present: BoolArray, n_last: int) -> FloatArray:
    """The last ``n_last`` places of a block's output ``[n, n_last, dim]``, from ``[n, length, dim]``."""
    dim = states.shape[-1]
    normed = _normed(states, block["attention_norm"])
    query = normed[:, -n_last:] @ block["query_key_value"][:, :dim]
    key_value = normed @ block["query_key_value"][:, dim:]
    attended = _attended(query, key_value[..., :dim], key_value[..., dim:], block["distance"], present)
    last: FloatArray = states[:, -n_last:] + attended @ block["attended"]
    hidden = _gelu(_normed(last, block["dense_norm"]) @ block["up"] + block["up_shift"])
    return last + hidden @ block["down"] + block["down_shift"]


def _attended(
    query: FloatArray, key: FloatArray, value: FloatArray, distance: FloatArray, present: BoolArray
) -> FloatArray:
    """What the last places see of themselves and those before ``[n, n_last, dim]``."""
    (n, length, dim), n_last, n_heads = key.shape, query.shape[1], len(distance)

    def by_head(vectors: FloatArray) -> FloatArray:
        return vectors.reshape(n, -1, n_heads, dim // n_heads).swapaxes(1, 2)

    logits = by_head(query) @ by_head(key).swapaxes(2, 3) / np.float32((dim // n_heads) ** 0.5)
    back = np.arange(length - n_last, length)[:, None] - np.arange(length)
    logits += distance[:, np.maximum(back, 0)]
    logits += np.where((back >= 0) & present[:, None, None, :], np.float32(0), UNSEEN)
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    seen: FloatArray = shares @ by_head(value)
    return seen.swapaxes(1, 2).reshape(n, n_last, dim)


def _normed(states: FloatArray, norm: FloatArray) -> FloatArray:
    """Vectors of mean 0 and variance 1, scaled and shifted (Ba et al. 2016)."""
    size = np.float32(states.shape[-1])
    centred = states - states.sum(axis=-1, keepdims=True) / size
    variance = (centred * centred).sum(axis=-1, keepdims=True) / size
    normed: FloatArray = centred / np.sqrt(variance + np.float32(NORM_EPSILON)) * norm[0] + norm[1]
    return normed


def _gelu(inputs: FloatArray) -> FloatArray:
    """Gaussian error linear units, with the hyperbolic tangent for the integral."""
    cubed = inputs * inputs * inputs
    inner = np.tanh(np.float32((2 / np.pi) ** 0.5) * (inputs + np.float32(0.044715) * cubed))
    units: FloatArray = np.float32(0.5) * inputs * (1 + inner)
    return units
