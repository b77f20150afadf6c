"""The HTTP API on Ray Serve: the same application, in replicas that Ray keeps running."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audotics.distributed.cluster import connect, one_thread
from audotics.errors import BadInputError, UnavailableError
from audotics.registry import Registry
from audotics.registry.names import CHAMPION
from audotics.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application

APPLICATION = "audotics"
"""Its name on the Serve instance; deploying under the same name again is a rolling update."""

GRACE_S = 10.0
"""How long requests in flight may take to end when a replica is stopped."""

_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"  # read by the client library while it is imported
_ONGOING = 100
"""Requests that a replica takes at once; the application itself says what it has no time for."""
_BUSY = 4
"""Requests in flight on each replica that an autoscaler aims at."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """How many replicas there are.

    Args:
        least: Always.
        most: Under load; as many as ``least`` where nothing is to scale.
    """

    least: int = 1
    most: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise BadInputError(
                f"{self.least} to {self.most} replicas cannot be",
                where="--workers, --most-workers",
                remedy="Give --most-workers at least as many as --workers",
            )


def serve(settings: Settings, replicas: Replicas) -> int:
    """Deploy, and where the cluster was started for it, serve until SIGTERM or Ctrl-C; the exit code.

    On a cluster that ran before (``RAY_ADDRESS``) the application stays there when this returns.

    Raises:
        BadInputError: There is no model, or the address cannot be listened on.
        MissingExtraError: Ray is not installed.
        UnavailableError: Replicas do not start, or the cluster is not there.
    """
    connect(replicas.most)
    stopped = threading.Event()
    # After Ray, which has handlers of its own, and before anybody is answered.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    url = deploy(settings, replicas)
    print(f"serving on {url} (documentation: /docs)", file=sys.stderr, flush=True)
    if os.environ.get("RAY_ADDRESS"):
        return 0
    stopped.wait()
    withdraw()
    return 0


def deploy(settings: Settings, replicas: Replicas) -> str:
    """Bring the application onto the cluster, or change the one that is there; the URL of this machine.

    Replicas are changed one after another; each follows model versions, the journal and the cache by itself,
    as any worker of a server does.

    Raises:
        BadInputError: There is no model, or the address cannot be listened on.
        MissingExtraError: Ray is not installed.
        UnavailableError: Replicas do not start, or the cluster is not there.
    """
    Registry(settings.models).resolve(CHAMPION)
    connect(replicas.most)
    from ray import serve as ray_serve
    from ray.serve.exceptions import RayServeException

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    try:
        ray_serve.start(
            http_options={"host": settings.host, "port": settings.port, "keep_alive_timeout_s": 30},
            proxy_location="EveryNode",
            logging_config={"log_level": "WARNING", "enable_access_log": False},
        )
    except (RayServeException, RuntimeError, ValueError) as error:
        raise BadInputError(
            f"cannot listen there ({str(error).splitlines()[0][:120]})",
            where=f"{settings.host}:{settings.port}",
            remedy="Give another --host or --port",
        ) from error
    try:
        ray_serve.run(application(settings, replicas), name=APPLICATION, route_prefix="/")
    except RuntimeError as error:
        raise UnavailableError(
            f"the replicas do not start ({str(error).splitlines()[0][:200]})",
            where="Ray Serve",
            remedy="Ray's logs of the replicas say why (docs/ray.md)",
        ) from error
    return f"http://{settings.host}:{settings.port}"


def withdraw() -> None:
    """End the application and Serve; requests in flight may end."""
    from ray import serve as ray_serve

    ray_serve.shutdown()  # type: ignore[no-untyped-call]
    shutil.rmtree(_metrics_folder(), ignore_errors=True)


def application(settings: Settings, replicas: Replicas) -> Application:
    """What `deploy` deploys, for those who deploy it themselves beside other applications."""
    from ray import serve as ray_serve

    everywhere = placed(settings)

    # A closure travels with what it needs, whatever else the workers can import.
    def build() -> Any:
        return build_app(everywhere)

    wanted: dict[str, Any] = {"num_replicas": replicas.least}
    if replicas.most > replicas.least:
        scaling = {
            "min_replicas": replicas.least,
            "max_replicas": replicas.most,
            "target_ongoing_requests": _BUSY,
        }
        wanted = {"autoscaling_config": scaling}
    deployment = ray_serve.deployment(
        name=APPLICATION,
        max_ongoing_requests=_ONGOING,
        graceful_shutdown_timeout_s=GRACE_S,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        ray_actor_options={
            "num_cpus": 1,
            "runtime_env": {"env_vars": {**one_thread(), _MULTIPROCESS: str(_metrics_folder())}},
        },
        **wanted,
    )
    served: Application = deployment(ray_serve.ingress(build)()).bind()
    return served


def build_app(settings: Settings) -> Any:
    """The application in a replica."""
    Path(os.environ[_MULTIPROCESS]).mkdir(parents=True, exist_ok=True)
    from audotics.serving.app import create_app
    from audotics.serving.workers import SWITCH_S

    sys.setswitchinterval(SWITCH_S)
    return create_app(settings)


def placed(settings: Settings) -> Settings:
    """The same settings with paths that do not depend on the folder a process runs in."""
    from sqlalchemy.engine import make_url

    paths = {name: value.absolute() for name, value in settings if isinstance(value, Path)}
    url = make_url(settings.database_url.get_secret_value())
    if url.get_backend_name() == "sqlite" and url.database:
        url = url.set(database=str(Path(url.database).absolute()))
    secret = type(settings.database_url)(url.render_as_string(hide_password=False))
    return settings.model_copy(update={**paths, "database_url": secret})


@cache
def _metrics_folder() -> Path:
    """Where the replicas of a machine add their counts together; each makes it where it is missing."""
    return Path(tempfile.gettempdir()) / f"audotics-metrics-{secrets.token_hex(4)}"
