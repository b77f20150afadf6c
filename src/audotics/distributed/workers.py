"""`Workers` on Ray: tasks that are begun again when the process that ran them dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from audotics.distributed.cluster import connect, one_thread
from audotics.errors import AudoticsError, UnavailableError
from audotics.workers import Result, Task

if TYPE_CHECKING:
    import ray

ATTEMPTS = 4
"""How often a task is begun before its workers' deaths are taken for its own fault."""

_AHEAD = 2
"""Tasks handed over for each worker, so that none waits for the next one."""


class RayWorkers:
    """Calls functions in the worker processes of a Ray cluster.

    Args:
        n_workers: Tasks under way at once; each takes one core, and as much memory as its function needs.
        memory_bytes: What Ray is told that a task needs: where less is free, fewer run at once.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: The cluster that ``RAY_ADDRESS`` names is not there.
    """

    def __init__(self, n_workers: int, *, memory_bytes: int | None = None) -> None:
        self._n_workers = n_workers
        self._memory_bytes = memory_bytes
        connect(n_workers)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call ``function`` for each task; results come in the order of the tasks.

        Raises:
            AudoticsError: What a call raised.
            UnavailableError: Workers died again and again on the same task.
        """
        import ray

        remote = ray.remote(function).options(
            name=getattr(function, "__name__", "task"),
            num_cpus=1,
            memory=self._memory_bytes,
            max_retries=ATTEMPTS - 1,
            runtime_env={"env_vars": one_thread()},
        )
        under_way: deque[ray.ObjectRef[Result]] = deque()
        try:
            for task in tasks:
                under_way.append(remote.remote(task))
                if len(under_way) >= _AHEAD * self._n_workers:
                    yield _result(under_way.popleft())
            while under_way:
                yield _result(under_way.popleft())
        finally:
            for reference in under_way:
                ray.cancel(reference, force=True)

    def share(self, value: Result) -> RayShared[Result]:
        """Put a value into the object store; it is gone when nothing refers to it any longer."""
        import ray

        return RayShared(ray.put(value))


@dataclass(frozen=True, slots=True)
class RayShared(Generic[Result]):
    """A value in the object store; arrays in it are read from shared memory."""

    reference: ray.ObjectRef[Result]

    def get(self) -> Result:
        """The value; do not change it."""
        import ray

        return ray.get(self.reference)


def _result(reference: ray.ObjectRef[Result]) -> Result:
    import ray

    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, AudoticsError):
            raise error.cause from None
        raise
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.OutOfMemoryError) as error:
        raise UnavailableError(
            f"a task ended {ATTEMPTS} workers ({str(error).splitlines()[0][:120]})",
            where="Ray",
            remedy="Give each worker more memory, or take fewer workers",
        ) from error
