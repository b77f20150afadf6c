from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audotics.evaluation.significance import holm
from audotics.experiments.multiple import corrected

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(p_values)
@settings(max_examples=15)
def test_holm_is_the_one_that_evaluation_uses(p: list[float]) -> None:
    assert corrected(p) == pytest.approx(holm(p))


@given(p_values)
@settings(max_examples=15)
def test_benjamini_and_hochberg_lie_between_nothing_and_holm(p: list[float]) -> None:
    for plain, share, every in zip(p, corrected(p, "fdr_bh"), corrected(p), strict=True):
        assert plain <= share + 1e-12
        assert share <= every + 1e-12


def test_one_question_needs_no_correction_and_none_is_no_error() -> None:
    assert corrected([0.03]) == [0.03]
    assert corrected([]) == []
