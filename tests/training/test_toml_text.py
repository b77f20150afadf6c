from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.retrieval.item_knn import Weighting
from audotics.training.toml_text import toml_text

VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
TABLES = st.recursive(
    st.dictionaries(st.text(), VALUES, max_size=4),
    lambda inner: st.dictionaries(st.text(), VALUES | inner, max_size=4),
    max_leaves=6,
)


@given(TABLES)
def test_what_is_written_is_read_again(values: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(values)) == values


def test_it_reads_like_one_written_by_hand() -> None:
    text = toml_text(
        {
            "settings": {"item-knn": {"weighting": Weighting.BM25, "k1": 1.5}, "popularity": {}},
            "include_heard": True,
            "rankers": ("single", "mean"),
            "tune_seconds": float("inf"),
        }
    )
    assert text == (
        "include_heard = true\n"
        'rankers = ["single", "mean"]\n'
        "tune_seconds = inf\n"
        "\n"
        "[settings.item-knn]\n"
        'weighting = "bm25"\n'
        "k1 = 1.5\n"
        "\n"
        "[settings.popularity]\n"
    )


def test_what_toml_lacks_is_refused() -> None:
    with pytest.raises(TypeError, match="None cannot be written as TOML"):
        toml_text({"half_life": None})
