"""Joining a Ray cluster, or starting one of this machine."""

from __future__ import annotations

import logging
import os
from importlib.util import find_spec

from audotics.errors import MissingExtraError

OBJECT_STORE_BYTES = 300 << 20
"""Shared memory of a cluster that is started here. Data passes through files, so little is needed."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def connect(n_workers: int, *, address: str | None = None) -> None:
    """Join the cluster of ``address``, else that of ``RAY_ADDRESS``, else start one in this machine.

    A process that is connected already stays so. What is started here has ``n_workers`` places to work, no
    dashboard, sends no usage statistics, and ends with this process.

    Args:
        n_workers: Places to work of a cluster that is started here.
        address: ``auto`` for a cluster that runs on this machine, ``HOST:PORT``, or ``ray://HOST:PORT``.

    Raises:
        MissingExtraError: Ray is not installed.
        UnavailableError: There is no cluster at the address.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("the Ray engine", "ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    import ray

    if ray.is_initialized():
        return
    wanted = address or os.environ.get("RAY_ADDRESS")
    if wanted:
        _join(wanted)
        return
    ray.init(
        address="local",
        num_cpus=n_workers,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=True,
    )


def one_thread() -> dict[str, str]:
    """Environment of a worker that has one core to itself: its libraries start no threads beside it."""
    return dict.fromkeys(_ONE_THREAD, "1")


def _join(address: str) -> None:
    import ray

    from audotics.errors import UnavailableError

    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        raise UnavailableError(
            f"there is no Ray cluster ({str(error).splitlines()[0][:120]})",
            where=address,
            remedy="Start one with `ray start --head`, or unset RAY_ADDRESS to work on this machine",
        ) from error
