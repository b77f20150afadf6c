"""One TensorFlow Serving over gRPC."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.errors import MissingExtraError, UnavailableError
from audotics.ranking.batches import TensorDict
from audotics.ranking.runtimes.messages import predict_request, read_response
from audotics.ranking.runtimes.naming import MODEL

try:
    import grpc
except ImportError as error:
    raise MissingExtraError("scoring through TensorFlow Serving", "tf-serving") from error

_METHOD = "/tensorflow.serving.PredictionService/Predict"
_HEALTH = "/grpc.health.v1.Health/Check"

_OPTIONS = (
    # Retrying is decided by the balancer, which knows the deadline and the other addresses.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A connection whose other end has gone without a word is found out.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 2_000),
)


class GrpcEndpoint:
    """Sends Predict requests over one channel, which connects again by itself.

    Args:
        address: ``host:port``.

    Raises:
        MissingExtraError: grpcio is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = f"grpc://{address}"
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        # Without (de)serialisers the call moves bytes, so what is wrong with an answer is seen here.
        self._call: Any = self._channel.unary_unary(_METHOD)
        self._greet: Any = self._channel.unary_unary(_HEALTH)

    def connect(self, timeout_s: float) -> None:
        """Connect ahead of the first request; nothing is said where that fails."""
        try:
            # Any call waits for the connection; whether the server knows this one does not matter.
            self._greet(b"", timeout=timeout_s, wait_for_ready=True)
        except (grpc.RpcError, ValueError):
            return

    def predict(
        self, version: int, signature: str, tensors: TensorDict, timeout_s: float
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Outputs by name.

        Raises:
            UnavailableError: No answer in time, a refusal, another version's answer, or no valid answer.
        """
        request = predict_request(MODEL, version, signature, tensors)
        try:
            answer = self._call(request, timeout=timeout_s)
        except grpc.RpcError as error:
            what = f"{error.code().name}: {(error.details() or '')[:200]}"
            raise UnavailableError(what, where=self.address) from error
        except ValueError as error:  # what the library says of a channel that was closed meanwhile
            raise UnavailableError("the connection is closed", where=self.address) from error
        try:
            answered_by, outputs = read_response(answer)
        except ValueError as error:
            raise UnavailableError(f"not an answer: {error}", where=self.address) from error
        if answered_by != version:
            raise UnavailableError(f"version {answered_by} answered for {version}", where=self.address)
        return outputs

    def close(self) -> None:
        """Give the connection back."""
        self._channel.close()
