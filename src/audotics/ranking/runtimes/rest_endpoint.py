"""One TensorFlow Serving over its REST interface."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import numpy as np
import numpy.typing as npt

from audotics.errors import MissingExtraError, UnavailableError
from audotics.ranking.batches import TensorDict
from audotics.ranking.runtimes.naming import MODEL
from audotics.ranking.runtimes.timed_http import Place, TimedConnection, look_up
from audotics.resilience import Deadline

try:
    import orjson
except ImportError as error:
    raise MissingExtraError("scoring through TensorFlow Serving", "tf-serving") from error

_LONGEST_ANSWER = 16 * 2**20
_HEADERS = {"Content-Type": "application/json"}


class RestEndpoint:
    """Sends ``:predict`` requests over connections that are kept open. Safe to call from several threads.

    The answer does not say which version gave it; that the address names the version has to be enough.

    Args:
        address: ``host:port``.
    """

    def __init__(self, address: str) -> None:
        self.address = f"http://{address}"
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._place: Place | None = None
        self._idle: list[TimedConnection] = []
        self._lock = threading.Lock()

    def connect(self, timeout_s: float) -> None:
        """Look the host up and connect ahead of the first request; nothing is said where that fails."""
        try:
            self._place = look_up(self._host, self._port)
            connection = self._new_connection()
            connection.deadline = Deadline.after(timeout_s)
            connection.connect()
        except OSError:
            return
        self._keep(connection)

    def predict(
        self, version: int, signature: str, tensors: TensorDict, timeout_s: float
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Outputs by name.

        Raises:
            UnavailableError: No answer in time, a refusal, or no valid answer.
        """
        inputs = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        body = orjson.dumps(
            {"signature_name": signature, "inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY
        )
        path = f"/v1/models/{MODEL}/versions/{version}:predict"
        try:
            status, answer = self._post(path, body, Deadline.after(timeout_s))
        except (OSError, HTTPException) as error:
            raise UnavailableError(f"{type(error).__name__}: {error}", where=self.address) from error
        if status != 200:
            raise UnavailableError(f"status {status}: {answer[:200]!r}", where=self.address)
        try:
            return _read_outputs(orjson.loads(answer))
        except (ValueError, TypeError, KeyError) as error:
            raise UnavailableError(f"not an answer: {error}", where=self.address) from error

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _post(self, path: str, body: bytes, deadline: Deadline) -> tuple[int, bytes]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            try:
                return self._over(connection, path, body, deadline)
            except (ConnectionError, HTTPException):
                # The other end may close a connection that was idle; that says nothing of its health.
                pass
        return self._over(self._new_connection(), path, body, deadline)

    def _new_connection(self) -> TimedConnection:
        if self._place is None:
            raise OSError("the host is not known")
        return TimedConnection(self._host, self._port, self._place)

    def _over(
        self, connection: TimedConnection, path: str, body: bytes, deadline: Deadline
    ) -> tuple[int, bytes]:
        connection.deadline = deadline
        done = False
        try:
            connection.request("POST", path, body, _HEADERS)
            response = connection.getresponse()
            answer = response.read(_LONGEST_ANSWER)
            done = response.isclosed() and not response.will_close
        finally:
            if not done:
                connection.close()
        if not done and len(answer) == _LONGEST_ANSWER:
            raise HTTPException("the answer does not end")
        if done:
            self._keep(connection)
        return response.status, answer

    def _keep(self, connection: TimedConnection) -> None:
        with self._lock:
            self._idle.append(connection)


def _read_outputs(answer: Any) -> dict[str, npt.NDArray[np.float32]]:
    """Outputs by name; an answer of one output leaves its name out, and it is the play head then."""
    outputs = answer["outputs"]
    named: Mapping[str, Any] = outputs if isinstance(outputs, dict) else {"play": outputs}
    return {name: np.array(values, np.float32) for name, values in named.items()}
