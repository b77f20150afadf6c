"""The plan against calculations by hand, and against what must hold for any service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from audotics.distributed.costs import read_costs
from audotics.distributed.limits import Limit, limits_of
from audotics.distributed.sizing import (
    BARE_ANSWERS_PER_S,
    CACHED_ANSWERS_PER_S,
    RETRIEVERS,
    SINGLE_EVENTS_PER_S,
    WORKER_PRIVATE_GIB,
    Demand,
    Sizing,
    size_service,
)
from audotics.retrieval.names import RETRIEVER_NAMES
from contract.known_costs import KNOWN

SHIPPED = read_costs()

# Ten times the largest measured size: a million events a day for a hundred days.
TEN_TIMES = Demand(listeners=1_000_000, tracks=2_000_000, events_per_day=1_000_000, days=100)


def stage(sizing: Sizing, name: str):
    return next(need for need in sizing.training if need.name == name)


def part(sizing: Sizing, name: str):
    return next(need for need in sizing.parts if need.name == name)


class TestByHand:
    def test_stages_grow_by_their_own_exponents(self):
        sizing = size_service(TEN_TIMES, KNOWN)
        # 36 s x 10, 3.6 s x 10 x 10, 36 s x 10^0.5, 72 s
        hours = {need.name: need.core_hours for need in sizing.training}
        assert hours == pytest.approx({"import": 0.1, "content": 0.1, "ials": 0.0316228, "ranker": 0.02})
        memory = {need.name: need.memory_gib for need in sizing.training}
        assert memory == pytest.approx({"import": 10.0, "content": 50.0, "ials": 6.32456, "ranker": 0.5})
        assert {need.times_measured for need in sizing.training} == {10.0}

    def test_a_training_fits_retrievers_twice(self):
        sizing = size_service(TEN_TIMES, KNOWN)
        assert sizing.training_core_hours == pytest.approx(0.1 + 0.02 + 2 * (0.1 + 0.0316228))
        assert sizing.training_memory_gib == pytest.approx(50.0)
        assert sizing.training_machines == 1

    def test_what_does_not_fit_counts_no_hours_and_says_so(self):
        small = TEN_TIMES.model_copy(update={"memory_gib": 32.0})
        sizing = size_service(small, KNOWN)
        assert [need.name for need in sizing.training if not need.fits] == ["content"]
        assert sizing.training_core_hours == pytest.approx(0.1 + 0.02 + 2 * 0.0316228)
        assert sizing.training_memory_gib == pytest.approx(10.0)

    def test_a_training_is_shared_by_machines_where_the_window_is_short(self):
        # 0.183 core-hours in 0.11: 2 processes; three of 10 GiB stand on one machine of 32.
        short = TEN_TIMES.model_copy(update={"memory_gib": 32.0, "window_h": 0.11})
        assert size_service(short, KNOWN).training_machines == 1
        # One of 10 GiB on a machine of 16: two machines.
        narrow = short.model_copy(update={"memory_gib": 16.0})
        assert size_service(narrow, KNOWN).training_machines == 2

    def test_lists_for_all_listeners(self):
        sizing = size_service(TEN_TIMES, KNOWN)
        assert sizing.batch_core_hours == pytest.approx(1.0)  # a million times 3.6 ms
        quick = TEN_TIMES.model_copy(update={"window_h": 0.01, "cores": 10})
        assert size_service(quick, KNOWN).batch_machines == 10

    def test_the_journal_grows_by_the_bytes_of_an_event(self):
        sizing = size_service(TEN_TIMES, KNOWN)
        assert sizing.storage_gib_per_day == pytest.approx(1e8 / 2**30)
        assert part(sizing, "PostgreSQL").storage_gib == pytest.approx(1e10 / 2**30)

    def test_servers_are_what_computed_cached_and_event_requests_take(self):
        demand = TEN_TIMES.model_copy(update={"target_rps": 1_000.0, "cached": 0.75, "busy": 0.5})
        sizing = size_service(demand, KNOWN)
        servers = part(sizing, "servers")
        # 250 answers of 40 + 1 ms: the version's time grows with the tracks, the ranker's stays.
        computed = 250 * (0.041 + 1 / BARE_ANSWERS_PER_S)
        cached = 750 / CACHED_ANSWERS_PER_S
        events = 3e6 / 86_400 / SINGLE_EVENTS_PER_S
        assert servers.cores == pytest.approx((computed + cached + events) / 0.5)
        assert servers.machines == 2  # 21 cores on machines of 16
        assert servers.storage_gib == pytest.approx(10.0)
        assert servers.memory_gib == pytest.approx(10.0 + 16 * WORKER_PRIVATE_GIB)

    def test_requests_follow_from_events_where_none_are_given(self):
        assert TEN_TIMES.answers_per_s == pytest.approx(1e6 / 10 / 86_400 * 3)
        assert TEN_TIMES.model_copy(update={"target_rps": 7.0}).answers_per_s == 7.0
        assert TEN_TIMES.events_per_s == pytest.approx(1e6 / 86_400 * 3)

    def test_redis_holds_an_answer_for_each_listener_of_a_day(self):
        # 100,000 answers a day for a million listeners
        assert part(size_service(TEN_TIMES, KNOWN), "Redis").memory_gib == pytest.approx(
            100_000 * 4_600 / 2**30
        )
        few = TEN_TIMES.model_copy(update={"listeners": 1_000})
        assert part(size_service(few, KNOWN), "Redis").memory_gib == pytest.approx(1_000 * 4_600 / 2**30)

    def test_a_service_of_the_measured_size_costs_what_was_measured(self):
        demand = Demand(listeners=100_000, tracks=200_000, events_per_day=100_000, days=100)
        sizing = size_service(demand, KNOWN)
        assert stage(sizing, "import").core_hours == pytest.approx(36 / 3600)
        assert stage(sizing, "import").times_measured == 1.0


def limit(demand: Demand, name: str, counts: str) -> Limit:
    found = limits_of(size_service(demand, KNOWN), KNOWN)
    return next(one for one in found if (one.name, one.counts) == (name, counts))


class TestLimits:
    def test_an_answer_may_take_a_tenth_of_the_deadline(self):
        # content: 1 ms at 200,000 tracks, with the square: 10 ms at sqrt(10) times as many
        content = limit(TEN_TIMES, "content, answering", "tracks")
        assert content.at == pytest.approx(200_000 * 10**0.5)
        assert content.reached
        # ials: 2 ms at 10 million events, with the square root: 10 ms at 25 times as many
        ials = limit(TEN_TIMES, "ials, answering", "events")
        assert ials.at == pytest.approx(250_000_000)
        assert not ials.reached

    def test_sqlite_ends_with_the_events_of_a_second_and_with_one_machine(self):
        busy = TEN_TIMES.model_copy(update={"events_per_day": 80_000_000})
        assert limit(busy, "SQLite journal", "single events/s").reached
        assert not limit(TEN_TIMES, "SQLite journal", "single events/s").reached
        assert limit(TEN_TIMES, "SQLite journal", "machines").reached
        assert "PostgreSQL" in limit(TEN_TIMES, "SQLite journal", "machines").then

    def test_ease_ends_where_its_matrix_does(self):
        ease = limit(TEN_TIMES, "ease", "tracks")
        assert (ease.at, ease.here, ease.reached) == (23_170, 2_000_000, True)
        small = TEN_TIMES.model_copy(update={"tracks": 20_000})
        assert not limit(small, "ease", "tracks").reached

    def test_what_does_not_fit_is_a_limit_with_something_instead(self):
        small = TEN_TIMES.model_copy(update={"memory_gib": 8.0})
        memory = limit(small, "import, fitting", "GiB of memory")
        assert (memory.at, memory.reached) == (8.0, True)
        assert memory.here == pytest.approx(10.0)
        assert "ray" in memory.then

    def test_a_machine_learns_from_as_many_events_as_its_memory_and_hours_take(self):
        # import: 1 GiB and 36 s for ten million events; ials: 2 GiB and 36 s, with the square root
        small = TEN_TIMES.model_copy(update={"memory_gib": 4.0})
        one = limit(small, "training on one machine", "events")
        assert one.at == pytest.approx(40_000_000)
        assert one.reached
        slow = TEN_TIMES.model_copy(update={"window_h": 0.02})
        assert limit(slow, "training on one machine", "events").at == pytest.approx(20_000_000)

    def test_training_beyond_the_window_needs_a_cluster(self):
        short = TEN_TIMES.model_copy(update={"window_h": 0.11})
        found = limit(short, "training on one core", "hours")
        assert found.reached
        assert "Ray" in found.then


demands = st.builds(
    Demand,
    listeners=st.integers(1, 10**9),
    tracks=st.integers(1, 10**9),
    events_per_day=st.integers(1, 10**10),
    days=st.integers(1, 365),
    cores=st.integers(1, 128),
    memory_gib=st.floats(1.0, 4_096.0),
)


class TestAlways:
    @given(demands, st.sampled_from(["listeners", "tracks", "events_per_day"]), st.integers(2, 100))
    def test_more_of_anything_never_needs_less(self, demand, field, times):
        more = demand.model_copy(update={field: getattr(demand, field) * times})
        less, larger = size_service(demand, SHIPPED), size_service(more, SHIPPED)
        for name in ("batch_core_hours", "storage_gib_per_day"):
            assert getattr(less, name) <= getattr(larger, name) * (1 + 1e-9)
        for one, other in zip(less.parts, larger.parts, strict=True):
            assert one.cores <= other.cores * (1 + 1e-9)
            assert one.machines <= other.machines
            assert one.storage_gib <= other.storage_gib * (1 + 1e-9)
        for one, other in zip(less.training, larger.training, strict=True):
            # EASE takes fewer tracks where listeners no longer fit its matrix either.
            if one.name != "ease":
                assert one.core_hours <= other.core_hours * (1 + 1e-9)
                assert one.memory_gib <= other.memory_gib * (1 + 1e-9)
                assert one.fits or not other.fits

    @given(demands)
    def test_totals_are_those_of_the_stages_that_fit(self, demand):
        sizing = size_service(demand, SHIPPED)
        fitting = [need for need in sizing.training if need.fits]
        twice = sum(need.core_hours for need in fitting if need.name in RETRIEVERS)
        assert sizing.training_core_hours == pytest.approx(sum(n.core_hours for n in fitting) + twice)
        assert sizing.training_memory_gib <= demand.memory_gib
        assert sizing.training_machines >= 1

    @given(demands)
    def test_every_stage_that_does_not_fit_is_a_limit_that_is_reached(self, demand):
        sizing = size_service(demand, SHIPPED)
        reached = {one.name for one in limits_of(sizing, SHIPPED) if one.reached}
        assert {f"{need.name}, fitting" for need in sizing.training if not need.fits} <= reached

    @given(demands)
    def test_every_limit_says_what_comes_then(self, demand):
        for one in limits_of(size_service(demand, SHIPPED), SHIPPED):
            assert one.then
            assert one.at > 0
            assert one.reached == (one.here > one.at)


def test_retrievers_that_are_fitted_are_those_that_exist():
    assert set(RETRIEVERS) == set(RETRIEVER_NAMES) - {"friends"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("listeners", 0), ("tracks", -1), ("events_per_day", 0), ("cached", 1.0), ("days", 0)],
)
def test_demands_that_make_no_sense_are_refused(field, value):
    given_fields = {"listeners": 1, "tracks": 1, "events_per_day": 1, field: value}
    with pytest.raises(ValidationError, match=field):
        Demand.model_validate(given_fields)
