"""Workers on Ray: order, deaths, errors, and no more threads than places to work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from audotics.distributed.workers import RayWorkers
from audotics.errors import BadInputError, UnavailableError
from contract import ray_tasks


def test_results_come_in_the_order_of_the_tasks(ray_workers: RayWorkers) -> None:
    assert list(ray_workers.map(ray_tasks.square, range(20))) == [number**2 for number in range(20)]


def test_tasks_are_drawn_as_they_are_needed(ray_workers: RayWorkers) -> None:
    drawn = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    results = ray_workers.map(ray_tasks.square, tasks())
    assert next(results) == 0
    assert len(drawn) == 4


def test_work_is_done_elsewhere_on_one_thread(ray_workers: RayWorkers) -> None:
    found = list(ray_workers.map(ray_tasks.process_and_threads, range(4)))
    assert os.getpid() not in {process for process, _ in found}
    assert {threads for _, threads in found} == {"1"}


def test_a_killed_worker_changes_nothing(ray_workers: RayWorkers, tmp_path: Path) -> None:
    marker = tmp_path / "killed"
    (survivor,) = ray_workers.map(ray_tasks.die_first, [marker])
    assert int(marker.read_text()) != survivor


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_given_up(ray_workers: RayWorkers) -> None:
    with pytest.raises(UnavailableError, match="ended 4 workers"):
        list(ray_workers.map(ray_tasks.always_die, [0]))


def test_our_errors_arrive_as_they_are(ray_workers: RayWorkers) -> None:
    with pytest.raises(BadInputError) as refused:
        list(ray_workers.map(ray_tasks.refuse, [1, 3]))
    assert type(refused.value) is BadInputError
    assert str(refused.value) == "task: 1 is odd. Double it"


def test_bugs_arrive_with_where_they_are(ray_workers: RayWorkers) -> None:
    with pytest.raises(ZeroDivisionError, match="in divide"):
        list(ray_workers.map(ray_tasks.divide, [1, 0]))
