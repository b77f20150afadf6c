from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
import weakref

import pytest

from audotics.resilience import LoneWorker
from audotics.resilience import lone_worker as module


def test_calls_are_worked_off_in_turn_by_one_thread():
    worker, done = LoneWorker("test"), []
    futures = [
        worker.submit(lambda n: done.append((n, threading.current_thread().name)), n) for n in range(50)
    ]
    for future in futures:
        future.result(5)
    assert done == [(n, "test") for n in range(50)]
    worker.shutdown()


def test_results_and_errors_come_back():
    worker = LoneWorker("test")
    assert worker.submit(pow, 2, 10).result(5) == 1024
    assert worker.submit(int, "ff", base=16).result(5) == 255
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 / 0).result(5)
    assert worker.submit(pow, 3, 2).result(5) == 9, "an error ends no thread"
    worker.shutdown()


def test_an_event_loop_takes_it_for_an_executor():
    async def ask(worker: LoneWorker) -> int:
        return await asyncio.get_running_loop().run_in_executor(worker, pow, 2, 3)

    with LoneWorker("test") as worker:
        assert asyncio.run(ask(worker)) == 8


def test_what_has_not_begun_can_be_cancelled():
    worker, begun, go_on = LoneWorker("test"), threading.Event(), threading.Event()
    first = worker.submit(lambda: (begun.set(), go_on.wait(5)))
    second = worker.submit(pow, 2, 2)
    begun.wait(5)
    threading.Timer(0.1, go_on.set).start()
    worker.shutdown(cancel_futures=True)
    assert first.done()
    assert not first.cancelled()
    assert second.cancelled()
    with pytest.raises(RuntimeError, match="after the shutdown"):
        worker.submit(pow, 2, 2)
    worker.shutdown()


def test_a_cancelled_call_is_not_begun():
    worker, go_on, ran = LoneWorker("test"), threading.Event(), []
    worker.submit(go_on.wait, 5)
    doomed = worker.submit(ran.append, 1)
    assert doomed.cancel()
    go_on.set()
    worker.submit(ran.append, 2).result(5)
    assert ran == [2]
    worker.shutdown()


def test_a_call_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "LEAVE_AFTER_S", 0.1)
    worker, never = LoneWorker("test"), threading.Event()
    worker.submit(never.wait, 30)
    start = time.monotonic()
    worker.shutdown()
    assert time.monotonic() - start < 5
    never.set()


def test_a_call_that_hangs_keeps_no_process_from_ending():
    code = "import time; from audotics.resilience import LoneWorker; LoneWorker('x').submit(time.sleep, 60)"
    subprocess.run([sys.executable, "-c", code], timeout=20, check=True)


def test_what_a_call_held_is_let_go():
    class Large:
        pass

    held = Large()
    gone, worker = weakref.ref(held), LoneWorker("test")
    worker.submit(lambda one: None, held).result(5)
    del held
    worker.submit(pow, 1, 1).result(5)
    gc.collect()
    assert gone() is None
    worker.shutdown()
