"""Which runtime scores with the deep rankers of a version, as a setting says it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from audotics.errors import BadInputError
from audotics.ranking.batches import Runtime, Scorer
from audotics.ranking.runtimes.naming import KERAS, SAVED_MODEL, signature_name, version_number

if TYPE_CHECKING:
    from audotics.ranking.runtimes.tf_serving import Endpoint, ServedModel

_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_REMEDY = "Give litert, tensorflow, grpc://HOST:8500[,HOST:8500] or http://HOST:8501[,HOST:8501]"


class ScorerKind(StrEnum):
    """How scores are computed."""

    LITERT = "litert"
    TENSORFLOW = "tensorflow"
    GRPC = "grpc"
    HTTP = "http"


_LOCAL = frozenset({ScorerKind.LITERT, ScorerKind.TENSORFLOW})
_REMOTE = frozenset({ScorerKind.GRPC, ScorerKind.HTTP})


@dataclass(frozen=True, slots=True)
class ScorerChoice:
    """What a setting such as ``grpc://one:8500,two:8500`` says.

    Args:
        kind: How scores are computed.
        addresses: ``host:port`` of every TensorFlow Serving; none where scores are computed in process.
    """

    kind: ScorerKind
    addresses: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ScorerChoice:
        """Read the setting.

        Raises:
            BadInputError: It says nothing known.
        """
        name, separator, rest = text.partition("://")
        addresses = tuple(part.strip().rstrip("/") for part in rest.split(","))
        if name in _REMOTE and all(_is_address(address) for address in addresses):
            return cls(ScorerKind(name), addresses)
        if name in _LOCAL and not separator:
            return cls(ScorerKind(name))
        raise BadInputError(f"{text!r} is not a scorer", where="scorer", remedy=_REMEDY)

    def runtime(self, folder: Path, version: str, deadline_s: float) -> Runtime | None:
        """What makes the scorers of a version's deep rankers; None is LiteRT in process.

        Args:
            folder: Of the version.
            version: Its id.
            deadline_s: Time of one answer of TensorFlow Serving.
        """
        if self.kind is ScorerKind.LITERT:
            return None
        if self.kind is ScorerKind.TENSORFLOW:
            return _in_process
        return _Remote(self, folder, version_number(version), deadline_s)


def is_opened(file: str, runtime: Runtime | None) -> bool:
    """Whether a server opens a file of a version, by its name: graphs are opened by TensorFlow alone.

    Args:
        file: Name inside the version's folder.
        runtime: What makes the server's scorers.
    """
    if file.endswith(f"/{KERAS}"):
        return False
    return runtime is _in_process or f"/{SAVED_MODEL}/" not in file


def _is_address(text: str) -> bool:
    found = _ADDRESS.fullmatch(text)
    return found is not None and 0 < int(found[2]) < 65536


def _in_process(folder: Path, heads: tuple[str, ...]) -> Scorer:
    from audotics.ranking.runtimes.tensorflow import TensorFlowRuntime

    return TensorFlowRuntime(folder / SAVED_MODEL)


@dataclass
class _Remote:
    """Makes scorers that share the connections of one version."""

    choice: ScorerChoice
    folder: Path
    version: int
    deadline_s: float
    _model: ServedModel | None = field(default=None, init=False)

    def __call__(self, folder: Path, heads: tuple[str, ...]) -> Scorer:
        from audotics.ranking.runtimes.tf_serving import ServedModel, TFServingRuntime

        if self._model is None:
            endpoints = [_endpoint(self.choice.kind, address) for address in self.choice.addresses]
            self._model = ServedModel(endpoints, self.version, deadline_s=self.deadline_s)
        return TFServingRuntime(self._model, signature_name(folder.relative_to(self.folder)), heads)


def _endpoint(kind: ScorerKind, address: str) -> Endpoint:
    if kind is ScorerKind.GRPC:
        from audotics.ranking.runtimes.grpc_endpoint import GrpcEndpoint

        return GrpcEndpoint(address)
    from audotics.ranking.runtimes.rest_endpoint import RestEndpoint

    return RestEndpoint(address)
