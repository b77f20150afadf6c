"""Work that must not take the processor from requests."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

ResultT = TypeVar("ResultT")

NICENESS = 10


def at_low_priority(work: Callable[[], ResultT]) -> ResultT:
    """Do it on a thread that other threads go before, and wait for it.

    Only for what mostly runs without the interpreter's lock, such as hashing and reading: a thread that is
    put off while it holds the lock puts off everybody.

    Args:
        work: What to do.

    Raises:
        Exception: What `work` raised.
    """
    with ThreadPoolExecutor(1, "aside", initializer=_go_after_others) as aside:
        return aside.submit(work).result()


def _go_after_others() -> None:
    # On Linux the number of a thread names that thread; elsewhere priorities belong to whole processes.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
