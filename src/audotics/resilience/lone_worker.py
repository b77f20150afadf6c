"""One thread that works things off in turn and can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
ResultT = TypeVar("ResultT")

LEAVE_AFTER_S = 5.0


class LoneWorker(Executor):
    """As `concurrent.futures.ThreadPoolExecutor` with one thread, but a call that never ends harms nobody.

    The threads of that one are waited for when the process ends, so one that hangs keeps a process
    from ending for ever. This one's is a daemon, and `shutdown` waits for `LEAVE_AFTER_S` at most.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[P, ResultT], /, *args: P.args, **kwargs: P.kwargs) -> Future[ResultT]:
        """Work this off after everything before it.

        Raises:
            RuntimeError: After `shutdown`.
        """
        future: Future[ResultT] = Future()
        with self._closing:
            if self._closed:
                raise RuntimeError("nothing is taken after the shutdown")
            self._calls.put(partial(_run, future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more.

        Args:
            wait: Whether to wait for what is under way, `LEAVE_AFTER_S` at most.
            cancel_futures: Whether to cancel what has not begun.
        """
        with self._closing:
            if not self._closed:
                self._closed = True
                if cancel_futures:
                    self._cancel()
                self._calls.put(None)
        if wait:
            self._thread.join(LEAVE_AFTER_S)

    def _cancel(self) -> None:
        while True:
            try:
                call = self._calls.get_nowait()
            except Empty:
                return
            if isinstance(call, partial):
                call.args[0].cancel()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # what it holds must not wait for the next one


def _run(future: Future[ResultT], call: Callable[[], ResultT]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
