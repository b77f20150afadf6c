from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from audotics.errors import BadInputError
from audotics.experiments.bayes import best_of_means, best_of_rates


def test_two_means_have_a_closed_form() -> None:
    found = best_of_means([1.0, 1.3], [0.2, 0.3])
    gap = np.hypot(0.2, 0.3)
    assert found.probability[1] == pytest.approx(stats.norm.cdf(0.3 / gap), abs=0.005)
    # The loss of choosing the second is the mean of max(first - second, 0).
    z = 0.3 / gap
    loss = gap * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    assert found.expected_loss[1] == pytest.approx(loss, rel=0.05)
    assert found.expected_loss[0] - found.expected_loss[1] == pytest.approx(0.3, abs=0.01)


def test_two_rates_by_quadrature() -> None:
    found = best_of_rates([30, 45], [100, 110])
    first, second = stats.beta(31, 71), stats.beta(46, 66)
    exact = integrate.quad(lambda p: second.pdf(p) * first.cdf(p), 0, 1)[0]
    assert found.probability[1] == pytest.approx(exact, abs=0.005)


def test_probabilities_sum_to_one_and_less_can_be_better() -> None:
    more = best_of_means([1, 2, 3], [1, 1, 1])
    less = best_of_means([1, 2, 3], [1, 1, 1], lower_is_better=True)
    assert sum(more.probability) == pytest.approx(1)
    assert more.probability[2] == pytest.approx(less.probability[0], abs=0.01)
    assert np.argmin(less.expected_loss) == 0


def test_no_belief_without_an_error_or_from_impossible_counts() -> None:
    with pytest.raises(BadInputError, match="standard error"):
        best_of_means([1, 2], [0.1, np.nan])
    with pytest.raises(BadInputError, match="count"):
        best_of_rates([3, 2], [2, 2])
