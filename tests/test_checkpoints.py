"""A training that was cut short goes on as if it had not been, from plain arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audotics.checkpoints import Checkpoints, State, assign_values, values_of
from audotics.errors import DamagedError

tf = pytest.importorskip("tensorflow")

from audotics.ranking.fitting import fit_model  # noqa: E402
from audotics.retrieval.sequence import SequenceConfig, SequenceHistory  # noqa: E402
from audotics.retrieval.sequence_training import train  # noqa: E402
from contract.deep_worlds import CONTENT, SMALL, world  # noqa: E402
from contract.ranking_lists import linear_examples  # noqa: E402
from contract.retriever_contract import planted_corpus  # noqa: E402


class Killed(BaseException):
    pass


class KilledAfter(Checkpoints):
    """As if the process were killed right after so many checkpoints."""

    def __init__(self, folder: Path, n: int) -> None:
        super().__init__(folder)
        self._left = n

    def save(self, state: Any) -> None:
        super().save(state)
        self._left -= 1
        if not self._left:
            raise Killed


@pytest.mark.parametrize("embedding_rate", [0.0, 0.5])
def test_a_deep_ranker_goes_on_after_a_kill(embedding_rate: float, tmp_path: Path) -> None:
    config = SMALL.model_copy(update={"epochs": 4, "patience": 4, "embedding_rate": embedding_rate})
    lists, others = linear_examples(seed=1, n_lists=48), linear_examples(seed=2, n_lists=24)
    job = (config, world(CONTENT), lists, others, np.ones(lists.inputs.track_index.shape, np.float32))
    whole = fit_model(*job)
    with pytest.raises(Killed):
        fit_model(*job, checkpoints=KilledAfter(tmp_path, 3))
    again = fit_model(*job, checkpoints=Checkpoints(tmp_path))
    assert again.history == whole.history
    assert len(whole.history.loss) == 4
    for one, other in zip(again.model.trainable_variables, whole.model.trainable_variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_sequence_encoder_goes_on_after_a_kill(tmp_path: Path) -> None:
    config = SequenceConfig(dim=8, n_heads=2, length=6, max_steps=40, learning_rate=0.02)
    corpus = planted_corpus()
    whole_history, history = SequenceHistory(), SequenceHistory()
    whole = train(config, corpus, whole_history)
    with pytest.raises(Killed):
        train(config, corpus, checkpoints=KilledAfter(tmp_path, 2))
    again = train(config, corpus, history, checkpoints=Checkpoints(tmp_path))
    assert history == whole_history
    assert len(history.steps) > 3
    assert whole.keys() == again.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(again[name], array, err_msg=name)


def test_only_one_process_writes(tmp_path: Path) -> None:
    reader = Checkpoints(tmp_path / "run", writes=False)
    reader.save({"a": np.arange(3)})
    assert not reader.exist
    assert reader.load() is None
    written: list[Path] = []
    Checkpoints(tmp_path / "run", on_saved=written.append).save({"a": np.arange(3)})
    state = reader.load()
    assert state is not None
    np.testing.assert_array_equal(state["a"], [0, 1, 2])
    assert [path.name for path in (tmp_path / "run").iterdir()] == [written[0].name]


def test_torn_and_foreign_checkpoints_are_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    variables = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    state: State = values_of(variables, "weights")
    checkpoints.save(state)
    loaded = checkpoints.load()
    assert loaded is not None
    with pytest.raises(DamagedError, match="of another model"):
        assign_values(variables[::-1], "weights", loaded)
    with pytest.raises(DamagedError, match="of another model"):
        assign_values([*variables, variables[0]], "weights", loaded)
    (tmp_path / "state.npz").write_bytes((tmp_path / "state.npz").read_bytes()[:100])
    with pytest.raises(DamagedError, match="cannot be read"):
        checkpoints.load()


def test_objects_are_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        Checkpoints(tmp_path).save({"a": np.array([object()])})
