"""Each metric says what it computes and where the definition comes from."""

from __future__ import annotations

import inspect
import re

import pytest

from audotics.evaluation import diversity, heads, metrics, significance
from audotics.evaluation.cells import LABELS

DOCUMENTED = [
    *metrics.METRICS.values(),
    diversity.coverage,
    diversity.novelty,
    diversity.intra_list_diversity,
    diversity.popularity_lift,
    heads.calibration_error,
    significance.paired_difference,
    significance.holm,
]


@pytest.mark.parametrize("function", DOCUMENTED, ids=lambda function: function.__name__)
def test_source_is_named(function) -> None:
    text = inspect.getdoc(function) or ""
    cited = re.search(r"\(?([A-ZÄ][\w&. äöü]+?) \(?(\d{4})", text)
    assert cited, "no source"
    module = inspect.getdoc(inspect.getmodule(function)) or ""
    assert cited.group(2) in module, "the module lists its sources"


def test_every_ranking_metric_has_a_label() -> None:
    assert set(metrics.METRICS) <= set(LABELS)
    assert len(set(LABELS.values())) == len(LABELS)
