"""Team draft: fair places, fair credit, honest chances; and the verdict of listeners."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from audotics.errors import BadInputError
from audotics.experiments.interleaving import BOTH, credit, preference, team_draft
from audotics.journal.exposure_frames import COLUMNS
from audotics.journal.outcomes import outcomes

N_SEEDS = 4000

ranked = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(ranked, ranked, st.integers(0, 12), st.integers(0, 2**63))
def test_a_draft_keeps_its_rules(first: list[str], second: list[str], k: int, seed: int) -> None:
    draft = team_draft(first, second, k, seed)
    assert len(set(draft.track_ids)) == len(draft.track_ids) == min(k, len({*first, *second}))
    assert len(draft.teams) == len(draft.chances) == len(draft.track_ids)
    assert draft == team_draft(first, second, k, seed)
    for team, own in ((0, first), (1, second)):
        picked = [track for track, whose in zip(draft.track_ids, draft.teams, strict=True) if whose == team]
        assert picked == sorted(picked, key=own.index), "a team picks its best first"
    sizes = Counter(draft.teams)
    if len({*first, *second}) >= k and min(len(first), len(second)) >= k:
        assert abs(sizes[0] - sizes[1]) <= 1


def test_lists_that_are_alike_credit_nobody() -> None:
    draft = team_draft("abcd", "abcd", 4, 7)
    assert draft.track_ids == tuple("abcd")
    assert set(draft.teams) == {BOTH}
    assert set(draft.chances) == {1.0}


def test_a_common_start_stays_on_top_and_counts_for_nobody() -> None:
    draft = team_draft("abxyz", "abpqr", 5, 1)
    assert draft.track_ids[:2] == ("a", "b")
    assert draft.teams[:2] == (BOTH, BOTH)
    assert BOTH not in draft.teams[2:]


def test_both_teams_get_every_place_half_of_the_time() -> None:
    teams = np.array([team_draft("abcdef", "uvwxyz", 6, seed).teams for seed in range(N_SEEDS)])
    for place in range(6):
        assert stats.binomtest(int(teams[:, place].sum()), N_SEEDS).pvalue > 1e-4


def test_who_gets_a_track_that_both_want_is_a_coin() -> None:
    """Both want "s" second: after a and u it is the next of either."""
    drafts = [team_draft("as", "us", 3, seed) for seed in range(N_SEEDS)]
    of_first = sum(draft.teams[2] == 0 for draft in drafts)
    assert stats.binomtest(of_first, N_SEEDS).pvalue > 1e-4


@pytest.mark.parametrize(
    ("first", "second"), [("abcd", "bdxa"), ("asxy", "uspq"), ("astx", "usty"), ("ab", "uvwx"), ("", "uv")]
)
def test_chances_are_the_shares_of_many_drafts(first: str, second: str) -> None:
    drafts = [team_draft(first, second, 4, seed) for seed in range(N_SEEDS)]
    counts = Counter(draft.track_ids for draft in drafts)
    chance = {draft.track_ids: float(np.prod(draft.chances)) for draft in drafts}
    assert sum(chance.values()) == pytest.approx(1)
    for tracks, count in counts.items():
        assert stats.binomtest(count, N_SEEDS, chance[tracks]).pvalue > 1e-4


def test_rankers_that_are_level_get_level_credit() -> None:
    """Clicks depend on place and track alone; the two lists are one another's mirror."""
    generator = np.random.default_rng(3)
    control, treatment = [], []
    for listener in range(2000):
        order = generator.permutation(list("abcdefgh"))
        first, second = (order, order[::-1]) if listener % 2 else (order[::-1], order)
        draft = team_draft(list(first), list(second), 6, int(generator.integers(2**63)))
        clicks = generator.random(6) < 0.6 / np.arange(1, 7)
        teams = np.array(draft.teams)
        control.append(int((clicks & (teams == 0)).sum()))
        treatment.append(int((clicks & (teams == 1)).sum()))
    verdict = preference(np.array(control), np.array(treatment))
    assert verdict.p_value > 1e-3
    assert verdict.sign_p_value > 1e-3
    assert verdict.low < 0 < verdict.high


def test_the_better_ranker_is_preferred() -> None:
    generator = np.random.default_rng(5)
    treatment = generator.binomial(5, 0.5, 400)
    control = generator.binomial(5, 0.4, 400)
    verdict = preference(control, treatment)
    assert verdict.low > 0
    assert verdict.n_for > verdict.n_against
    assert max(verdict.p_value, verdict.sign_p_value) < 1e-3
    assert verdict.mean == pytest.approx((treatment - control).sum() / (treatment + control).sum())
    assert preference(treatment, control).mean == pytest.approx(-verdict.mean)


def test_the_interval_covers_as_often_as_it_says() -> None:
    """Listeners of very different diligence, each with a taste of their own around 0.1."""
    generator = np.random.default_rng(11)
    n_rounds, covered = 600, 0
    for _ in range(n_rounds):
        n_tracks = generator.geometric(0.15, 150)
        chance = np.clip(generator.normal(0.55, 0.15, 150), 0, 1)
        treatment = generator.binomial(n_tracks, chance)
        verdict = preference(n_tracks - treatment, treatment)
        covered += verdict.low < 0.1 < verdict.high
    assert stats.binomtest(covered, n_rounds, 0.95).pvalue > 1e-3


def test_listeners_who_all_agree_leave_no_spread() -> None:
    ones, none = np.ones(5, np.int64), np.zeros(5, np.int64)
    all_for = preference(none, ones)
    assert (all_for.mean, all_for.low, all_for.high, all_for.p_value) == (1, 1, 1, 0)
    assert all_for.sign_p_value == pytest.approx(2 * 0.5**5)
    level = preference(ones, ones)
    assert (level.mean, level.p_value, level.sign_p_value) == (0, 1, 1)


def test_without_credit_there_is_no_verdict() -> None:
    with pytest.raises(BadInputError, match="1 listeners played"):
        preference(np.array([0, 1]), np.array([0, 0]))


def test_credit_goes_to_the_team_of_the_track() -> None:
    at = pl.Series([1_700_000_000_000_000]).cast(pl.Datetime("us", "UTC"))[0]
    exposures = pl.DataFrame(
        {
            "request_id": ["r1", "r2", "r3"],
            "user_id": ["anna", "bob", "anna"],
            "timestamp": [at] * 3,
            "track_ids": [["a", "b", "c"], ["a", "b", "c"], ["a"]],
            "scores": [[3.0, 2.0, 1.0]] * 2 + [[1.0]],
            "propensities": [[1.0, 0.5, 1.0]] * 2 + [[1.0]],
            "model_version": ["v"] * 3,
            "variant": ["e:interleaved"] * 2 + [""],
            "rung": ["personalised"] * 3,
        },
        schema=COLUMNS,
    )
    teams = pl.DataFrame(
        {
            "request_id": ["r1", "r2", "r3"],
            "teams": [["", "new", "control"], ["", "control", "new"], None],
        },
        schema_overrides={"teams": pl.List(pl.String)},
    )
    later = at + timedelta(minutes=1)
    played = [("anna", "a", "r1"), ("anna", "b", "r1"), ("bob", "c", "r2"), ("bob", "b", "r2")]
    events = pl.DataFrame(
        {
            "user_id": [user for user, _, _ in played],
            "track_id": [track for _, track, _ in played],
            "request_id": [request for _, _, request in played],
            "timestamp": [later] * 4,
            "event": ["play", "complete", "play", "skip"],
            "ms_played": [None] * 4,
        },
        schema_overrides={"ms_played": pl.Int64},
    )
    found = outcomes(exposures, events)
    assert credit(found, teams, "control").rows() == [("anna", 0, 1), ("bob", 0, 1)]
    assert credit(found, teams, "control", by="completed").rows() == [("anna", 0, 1)]
