import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audotics.errors import BadInputError
from audotics.ranking.head_weights import SURFACES, surface_weights, weighted_by_heads
from audotics.ranking.protocol import HEADS


def lists(seed: int, n_lists: int = 4, width: int = 9):
    """Scores with padded slots, and chances of two heads."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_lists, width)).astype(np.float32)
    padded = np.arange(width) >= rng.integers(2, width + 1, n_lists)[:, None]
    scores[padded] = -np.inf
    chances = {head: rng.random(scores.shape, np.float32) for head in ("complete", "skip")}
    return scores, {head: np.where(padded, 0, chance) for head, chance in chances.items()}


def by_loop(scores, probabilities, weights):
    """The definition, list by list."""
    result = np.full(scores.shape, -np.inf)
    for row, values in enumerate(scores):
        kept = np.isfinite(values)
        own = values[kept].astype(float)
        total = np.zeros(len(own))
        for head, weight in weights.items():
            chance = probabilities[head][row][kept].astype(float)
            logit = np.log(chance / (1 - chance))
            total += weight * (logit - logit.mean()) / logit.std()
        result[row, kept] = own + own.std() * total
    return result


weight = st.floats(-3, 3, allow_nan=False)


@given(st.integers(0, 1000), weight, weight)
def test_equals_the_definition(seed, complete, skip):
    scores, chances = lists(seed)
    weights = {"complete": complete, "skip": skip}
    found = weighted_by_heads(scores, chances, weights)
    np.testing.assert_allclose(found, by_loop(scores, chances, weights), rtol=1e-4, atol=1e-4)


@given(st.integers(0, 1000))
def test_weight_zero_changes_nothing(seed):
    scores, chances = lists(seed)
    for weights in ({}, {"complete": 0.0}, {"complete": 0.0, "like": 0}):
        assert np.array_equal(weighted_by_heads(scores, chances, weights), scores)


@given(st.integers(0, 1000), weight, st.floats(0.01, 100), st.floats(-50, 50))
def test_scale_and_level_of_the_scores_do_not_change_the_order(seed, skip, scale, shift):
    scores, chances = lists(seed)
    plain = weighted_by_heads(scores, chances, {"skip": skip})
    moved = weighted_by_heads((scores * scale + shift).astype(np.float32), chances, {"skip": skip})
    kept = np.isfinite(scores)
    back = (moved[kept] - shift) / scale
    np.testing.assert_allclose(back, plain[kept], atol=1e-2 + 1e-4 * abs(shift) / scale)


@given(st.integers(0, 1000), st.floats(0.1, 3), st.floats(0.1, 3))
def test_more_weight_never_lowers_the_mean_rank_of_the_likelier(seed, first, second):
    scores, chances = lists(seed)
    little, much = sorted((first, second))
    kept = np.isfinite(scores)

    def agreement(weight):
        combined = weighted_by_heads(scores, chances, {"complete": weight})
        logits = np.log(chances["complete"] / (1 - chances["complete"]), where=kept, out=np.zeros(kept.shape))
        centred = [
            np.corrcoef(row[mask], logit[mask])[0, 1]
            for row, logit, mask in zip(combined, logits, kept, strict=True)
        ]
        return np.array(centred)

    assert np.all(agreement(much) >= agreement(little) - 1e-4)


@given(st.integers(0, 1000), st.floats(0.1, 3))
def test_a_negative_weight_is_the_weight_of_the_opposite(seed, weight):
    scores, chances = lists(seed)
    kept = np.isfinite(scores)
    opposite = {"skip": np.where(kept, 1 - chances["skip"], 0).astype(np.float32)}
    against = weighted_by_heads(scores, chances, {"skip": -weight})
    np.testing.assert_allclose(against, weighted_by_heads(scores, opposite, {"skip": weight}), atol=1e-2)


def test_a_certain_reaction_stays_finite():
    scores = np.array([[1.0, 2.0, -np.inf]], np.float32)
    found = weighted_by_heads(scores, {"skip": np.array([[0.0, 1.0, 0.0]], np.float32)}, {"skip": -2.0})
    assert np.isfinite(found).tolist() == [[True, True, False]]
    assert found[0, 0] > found[0, 1]


def test_equal_chances_change_nothing_and_equal_scores_leave_it_to_the_heads():
    scores = np.array([[3.0, 1.0, 2.0]], np.float32)
    same = {"skip": np.full((1, 3), 0.3, np.float32)}
    np.testing.assert_allclose(weighted_by_heads(scores, same, {"skip": -1.0}), scores)
    chances = {"skip": np.array([[0.5, 0.1, 0.9]], np.float32)}
    found = weighted_by_heads(np.full((1, 3), 7, np.float32), chances, {"skip": -1.0})
    assert np.argsort(-found[0]).tolist() == [1, 0, 2]


def test_empty_lists_stay_empty():
    scores = np.full((2, 3), -np.inf, np.float32)
    found = weighted_by_heads(scores, {"skip": np.zeros((2, 3), np.float32)}, {"skip": 1.0})
    assert np.all(found == -np.inf)


@pytest.mark.parametrize(
    ("weights", "message"), [({"like": 1.0}, "no head 'like'"), ({"skip": np.nan}, "nan")]
)
def test_bad_weights_are_named(weights, message):
    scores, chances = lists(0)
    with pytest.raises(BadInputError, match=message):
        weighted_by_heads(scores, chances, weights)


def test_surfaces_weigh_known_heads_only():
    assert all(set(weights) <= set(HEADS) for weights in SURFACES.values())
    assert surface_weights("focus", HEADS) == {"complete": 1.0, "skip": -1.0}
    assert surface_weights("focus", ("play", "skip")) == {"skip": -1.0}
    assert surface_weights("focus", ("play",)) == {}
    with pytest.raises(BadInputError, match="focus"):
        surface_weights("gym", HEADS)
