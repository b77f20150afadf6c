"""Measured costs and the curves through them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from audotics.distributed import costs as costs_module
from audotics.distributed.costs import (
    STAGES,
    STEEPEST,
    Law,
    MeasuredCosts,
    Point,
    ease_tracks,
    read_costs,
    size_of,
)
from audotics.errors import DamagedError
from audotics.retrieval.ease import EASE, EASEConfig
from audotics.retrieval.names import RETRIEVER_NAMES
from contract.known_costs import KNOWN, points, power

sizes = st.floats(1.0, 1e12)
exponents = st.floats(0.0, 3.0)


class TestLaw:
    @given(exponents, st.floats(1e-3, 1e6), sizes)
    def test_a_power_law_is_found_and_continued(self, exponent, factor, size):
        measured = np.array([1e5, 1e6, 1e7])
        law = Law.through(measured, factor * measured**exponent)
        assert law.exponent == pytest.approx(exponent, abs=1e-6)
        assert law(size) == pytest.approx(factor * size**exponent, rel=1e-4)

    def test_noise_is_averaged_and_the_largest_size_is_met(self):
        law = Law.through([1.0, 10.0, 100.0], [1.0, 20.0, 100.0])
        assert law.exponent == law.beyond == pytest.approx(1.0)
        assert law(100.0) == 100.0

    def test_a_fixed_cost_does_not_hide_how_it_goes_on(self):
        law = Law.through([1.0, 10.0, 100.0], [100.0 + x for x in (1.0, 10.0, 100.0)])
        assert law.exponent < 0.2
        assert law.beyond == pytest.approx(np.log10(200 / 110))
        assert law(1_000.0) == pytest.approx(200 * 200 / 110)
        assert law.size_for(law(1_000.0)) == pytest.approx(1_000.0)

    def test_a_step_of_noise_is_no_law(self):
        assert Law.through([1.0, 10.0], [1e-6, 1.0]).beyond == STEEPEST

    def test_the_order_of_the_sizes_does_not_matter(self):
        assert Law.through([100.0, 1.0, 10.0], [300.0, 1.0, 20.0]) == Law.through(
            [1.0, 10.0, 100.0], [1.0, 20.0, 300.0]
        )

    def test_one_size_is_taken_to_grow_in_proportion(self):
        law = Law.through([10.0, 10.0], [4.0, 5.0])
        assert (law.exponent, law.n_points, law(20.0)) == (1.0, 1, 10.0)

    def test_what_shrinks_is_taken_to_stay(self):
        law = Law.through([1.0, 10.0], [5.0, 4.0])
        assert (law.exponent, law(1e9)) == (0.0, 4.0)

    def test_nothing_measured_is_no_law(self):
        assert Law.through([], []) is None
        assert Law.through([1.0, 10.0], [0.0, 0.0]) is None

    @given(st.floats(0.05, 3.0), st.floats(0.1, 1e9))
    def test_a_cost_leads_back_to_its_size(self, exponent, cost):
        law = Law(1e6, 3.0, exponent, min(3.0, exponent + 0.5), 3)
        size = law.size_for(cost)
        assert math.isinf(size) or law(size) == pytest.approx(cost, rel=1e-6)

    def test_what_does_not_grow_has_no_end(self):
        assert math.isinf(Law(10.0, 5.0, 0.0, 0.0, 3).size_for(1e9))

    def test_an_end_beyond_all_numbers_is_none(self):
        assert math.isinf(Law(1e7, 1e-6, 1e-3, 1e-3, 3).size_for(1.0))

    def test_nothing_costs_nothing(self):
        assert Law(10.0, 5.0, 1.0, 1.0, 3)(0) == 0.0

    @given(exponents, sizes, sizes)
    def test_more_never_costs_less(self, exponent, one, other):
        law = Law(1e6, 3.0, exponent, min(3.0, exponent + 0.5), 3)
        low, high = sorted((one, other))
        assert law(low) <= law(high) * (1 + 1e-12)


class TestSizes:
    def test_each_driver_is_counted(self):
        counted = {driver: size_of(driver, 3.0, 5.0, 7.0) for driver in ("events", "listeners", "tracks")}
        assert counted == {"events": 3.0, "listeners": 5.0, "tracks": 7.0}

    def test_ease_takes_all_tracks_while_a_side_of_its_matrix_fits(self):
        side = int((EASEConfig().memory_mb * 2**20 / 8) ** 0.5)
        assert ease_tracks(1e9, side) == side
        assert ease_tracks(side, 90_000) == 90_000
        assert ease_tracks(side, 1e9) == EASEConfig().max_tracks
        assert ease_tracks(side + 1, side + 1) == side
        assert ease_tracks(1e9, 1e9) == side

    @pytest.mark.parametrize("n_users", [20, 60])
    def test_that_is_what_ease_itself_does(self, n_users, monkeypatch):
        from audotics.data.interactions import Interactions

        rng = np.random.default_rng(0)
        histories = [rng.permutation(60)[:30].tolist() for _ in range(n_users)]
        interactions = Interactions.from_histories(histories, 60)
        # 1 MiB is a side of 362 tracks; a limit of one's own shows both ways at this size.
        config = EASEConfig(memory_mb=1, max_tracks=40)
        monkeypatch.setattr(costs_module, "EASEConfig", lambda: config)
        taking_part = EASE(config)._taking_part(interactions.matrix().tocsr())
        assert len(taking_part) == ease_tracks(n_users, 60)


class TestMeasurements:
    def test_a_law_is_through_what_was_done(self):
        law = KNOWN.law("import", "seconds")
        assert (law.at, law.value, law.n_points) == (10_000_000, 36.0, 3)
        assert law.exponent == pytest.approx(1.0)

    def test_a_stage_that_ran_out_of_time_says_nothing_of_that_size(self):
        done, also, _ = power(1, seconds=100.0)
        late = Point(
            n_events=10**7, n_listeners=10**5, n_tracks=2 * 10**5, outcome="timeout", note="not done"
        )
        found = MeasuredCosts(machine="", measured_on="", stages={"import": (done, also, late)})
        law = found.law("import", "seconds")
        assert (law.at, law.n_points) == (1_000_000, 2)
        assert found.largest_events == 10_000_000

    def test_what_was_not_measured_has_no_law(self):
        assert KNOWN.law("item-knn", "seconds") is None
        assert KNOWN.law("import", "answer_s") is None

    def test_they_survive_the_file(self):
        text = json.dumps(KNOWN.model_dump(mode="json", exclude_defaults=True))
        assert MeasuredCosts.model_validate_json(text) == KNOWN

    def test_negative_costs_are_refused(self):
        with pytest.raises(ValidationError):
            points({"seconds": -1.0}, {}, {})


class TestShipped:
    def test_every_stage_was_measured_at_several_sizes(self):
        shipped = read_costs()
        assert set(shipped.stages) == set(STAGES)
        for stage in STAGES:
            law = shipped.law(stage, "seconds")
            assert law is not None, stage
            assert math.isfinite(law(1e9)) and law.exponent < 3, stage

    def test_every_retriever_but_that_of_friends_is_a_stage(self):
        # The simulator knows no friends.
        assert set(RETRIEVER_NAMES) - set(STAGES) == {"friends"}

    def test_a_damaged_file_is_said_so(self, tmp_path, monkeypatch):
        (tmp_path / "costs.json").write_text("{}")
        monkeypatch.setattr(costs_module, "files", lambda _: tmp_path)
        with pytest.raises(DamagedError, match=r"costs\.json"):
            read_costs()

    def test_a_missing_file_is_said_so(self, tmp_path, monkeypatch):
        monkeypatch.setattr(costs_module, "files", lambda _: tmp_path)
        with pytest.raises(DamagedError, match=r"measure_scale\.py"):
            read_costs()
