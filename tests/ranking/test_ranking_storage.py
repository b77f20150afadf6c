import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from audotics.errors import BadInputError, DamagedError
from audotics.ranking.checks import check_feature_names, check_positives
from audotics.ranking.names import RANKER_NAMES, ranker_class
from audotics.ranking.protocol import RankingExamples
from audotics.ranking.storage import read_array, read_settings, write_state
from contract.ranking_lists import linear_examples


@given(arrays(np.float32, (3, 2), elements=st.floats(width=32, allow_nan=False)), st.text(max_size=9))
def test_what_is_written_is_read(tmp_path_factory, array, text):
    folder = tmp_path_factory.mktemp("state")
    write_state(folder, {"ranker": "x", "text": text}, {"table": array})
    assert read_settings(folder, "x") == {"ranker": "x", "text": text}
    assert np.array_equal(read_array(folder, "table", ndim=2), array)


def test_arrays_of_objects_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        write_state(tmp_path, {}, {"bad": np.array([{}], dtype=object)})


@pytest.mark.parametrize("text", ["", "[]", '{"ranker": "y"}', "{}"])
def test_settings_of_something_else_are_refused(tmp_path, text):
    (tmp_path / "ranker.json").write_text(text)
    with pytest.raises(DamagedError, match=r"ranker\.json"):
        read_settings(tmp_path, "x")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DamagedError, match=r"ranker\.json"):
        read_settings(tmp_path, "x")
    with pytest.raises(DamagedError, match=r"table\.npy"):
        read_array(tmp_path, "table", ndim=1)


@pytest.mark.parametrize("keep", [0, 5, 60, 130])
def test_cut_arrays_are_refused(tmp_path, keep):
    write_state(tmp_path, {}, {"table": np.arange(20.0)})
    whole = (tmp_path / "table.npy").read_bytes()
    (tmp_path / "table.npy").write_bytes(whole[:keep])
    with pytest.raises(DamagedError, match=r"table\.npy"):
        read_array(tmp_path, "table", ndim=1)


def test_dimensions_are_checked(tmp_path):
    write_state(tmp_path, {}, {"table": np.zeros((2, 2))})
    with pytest.raises(DamagedError, match="2 dimensions instead of 1"):
        read_array(tmp_path, "table", ndim=1)


def test_foreign_features_are_named():
    inputs = linear_examples(seed=1, n_lists=1).inputs
    check_feature_names(inputs, inputs.feature_names)
    with pytest.raises(BadInputError, match=r"missing \['tempo'\], unexpected \['items:z'\]"):
        check_feature_names(inputs, ("tempo", *inputs.feature_names[1:]))


def test_lists_without_plays_are_refused():
    examples = linear_examples(seed=1, n_lists=2)
    check_positives(examples, "training")
    with pytest.raises(BadInputError, match="no validation list"):
        check_positives(RankingExamples(examples.inputs, examples.labels * 0, examples.heads), "validation")


def test_every_ranker_is_found_by_the_name_it_bears():
    assert [ranker_class(name).name for name in RANKER_NAMES] == list(RANKER_NAMES)
    with pytest.raises(BadInputError, match="no ranker 'best'"):
        ranker_class("best")
