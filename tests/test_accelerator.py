"""One setting says where deep models are trained; without a GPU all of it works, or says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from audotics.errors import BadInputError
from audotics.ranking.config import ModelConfig

tf = pytest.importorskip("tensorflow")

from audotics.accelerator import n_gpus, placed  # noqa: E402
from audotics.ranking.deep import DeepRanker  # noqa: E402
from audotics.ranking.model import DeepRecommender  # noqa: E402
from audotics.retrieval.names import new_retriever  # noqa: E402
from contract.deep_worlds import CONTENT, SMALL, world  # noqa: E402
from contract.ranking_lists import linear_examples  # noqa: E402
from contract.retriever_contract import planted_corpus  # noqa: E402

QUICK = SMALL.model_copy(update={"epochs": 3, "embedding_rate": 0.0, "dropout": 0.1})


def _fitted(**settings: object) -> DeepRanker:
    lists, others = linear_examples(seed=1, n_lists=48), linear_examples(seed=2, n_lists=24)
    return DeepRanker(world(CONTENT), QUICK.model_copy(update=settings)).fit(lists, others)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_work_is_done_where_it_is_placed(device: str) -> None:
    with placed(device):  # type: ignore[arg-type]
        kind = tf.Variable([1.0]).device.split(":")[-2]
    assert kind == ("GPU" if device == "auto" and n_gpus() else "CPU")


@pytest.mark.skipif(n_gpus() > 0, reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_missed_at_once() -> None:
    with pytest.raises(BadInputError, match="device: TensorFlow sees no GPU here"):
        _fitted(device="gpu")
    with pytest.raises(BadInputError, match="TensorFlow sees no GPU here"):
        new_retriever("sequence", {"device": "gpu"}).fit(planted_corpus())


def test_mixed_precision_learns_much_the_same_and_is_saved_in_full(tmp_path: Path) -> None:
    full, mixed = _fitted(), _fitted(mixed_precision=True)
    others = linear_examples(seed=2, n_lists=24)
    np.testing.assert_allclose(mixed.history_.loss, full.history_.loss, rtol=0.02)
    assert mixed.history_.loss != full.history_.loss
    assert {variable.dtype for variable in mixed.model_.trainable_variables} == {"float32"}
    mixed.save(tmp_path)
    loaded = DeepRanker.load(tmp_path)
    np.testing.assert_allclose(loaded.score(others.inputs), mixed.score(others.inputs), atol=1e-4)


def test_wide_layers_compute_in_half_the_bits() -> None:
    shape = _fitted().shape_
    model = DeepRecommender(QUICK.model_copy(update={"mixed_precision": True}), shape)
    assert model.shared[0].compute_dtype == "bfloat16"
    assert model.skip.compute_dtype == "float32"  # the linear model that training starts from
    assert model.shared[0].kernel.dtype == "float32"


def test_a_compiled_step_learns_the_same() -> None:
    plain, compiled = _fitted(dropout=0.0), _fitted(dropout=0.0, xla=True)
    np.testing.assert_allclose(compiled.history_.loss, plain.history_.loss, rtol=1e-4)


def test_what_cannot_be_compiled_is_refused() -> None:
    with pytest.raises(ValidationError, match="xla needs embedding_rate 0"):
        ModelConfig(xla=True, embedding_rate=0.5)
