"""Scores with a model in TensorFlow Serving, at one address or at several that take turns."""

from __future__ import annotations

import itertools
import logging
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audotics.errors import OpenCircuitError, UnavailableError
from audotics.ranking.batches import TensorDict
from audotics.ranking.runtimes.naming import MAX_LISTS
from audotics.resilience import BreakerState, CircuitBreaker, Deadline

_log = logging.getLogger("audotics.ranking")

_CONNECT_S = 1.0
_FAILURES = 3
_WIDTH_STEP = 128
_WIDEST_KEPT = 1024


class Endpoint(Protocol):
    """One address of TensorFlow Serving."""

    address: str

    def connect(self, timeout_s: float) -> None:
        """Look up and connect, ahead of requests or after trouble; never raises."""
        ...

    def predict(self, version: int, signature: str, tensors: TensorDict, timeout_s: float) -> TensorDict:
        """Outputs by name.

        Raises:
            UnavailableError: No valid answer in time.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


@dataclass(frozen=True, slots=True)
class _Replica:
    endpoint: Endpoint
    breaker: CircuitBreaker


@dataclass(frozen=True, slots=True)
class _Question:
    signature: str
    tensors: TensorDict
    heads: tuple[str, ...]


class ServedModel:
    """One version of the model, asked at addresses in turn.

    An address that fails three times in a row gets no more requests. A thread asks it again, every
    ``check_s`` at the most and ever more rarely, the last question there was; an answer in time brings it
    back, so no request pays for finding out. The same thread asks the healthy ones too, so that a server
    that hangs is found while there is little to do.

    A failure that comes fast (refused, no such version, not an answer) is tried at one other address in
    what is left of the deadline. A slow one is not: where servers are slow, asking twice makes it worse.

    Connections close when nothing refers to the object any more.

    Args:
        endpoints: The addresses.
        version: Number of the version; answers of another one are failures.
        deadline_s: Time that an answer may take, all tries together.
        check_s: How often addresses are checked.
    """

    def __init__(
        self, endpoints: Sequence[Endpoint], version: int, *, deadline_s: float, check_s: float = 1.0
    ) -> None:
        self.version = version
        self._deadline_s = deadline_s
        self._replicas = [
            _Replica(
                endpoint,
                CircuitBreaker(
                    endpoint.address, failures=_FAILURES, reset_s=check_s / 2, longest_s=10 * check_s
                ),
            )
            for endpoint in endpoints
        ]
        self._turn = itertools.count()
        self._last: _Question | None = None
        _connect_all(endpoints)
        stopped = threading.Event()
        self._finalizer = weakref.finalize(self, _close, endpoints, stopped)
        watcher = threading.Thread(
            target=_watch, args=(weakref.ref(self), stopped, check_s), name="tf-serving-health", daemon=True
        )
        watcher.start()

    @property
    def healthy(self) -> tuple[str, ...]:
        """The addresses that get requests now."""
        return tuple(replica.endpoint.address for replica in self._replicas if _is_healthy(replica))

    def ask(self, signature: str, tensors: TensorDict, heads: tuple[str, ...]) -> TensorDict:
        """Logits ``[n_lists, width]`` by head, or by more than was asked for.

        Args:
            signature: Which deep ranker of the version.
            tensors: Inputs by name.
            heads: Outputs that have to be there.

        Raises:
            OpenCircuitError: Every address is left alone at the moment.
            UnavailableError: No valid answer in time.
        """
        question = _Question(signature, tensors, heads)
        self._last = question
        deadline = Deadline.after(self._deadline_s)
        failure: UnavailableError | None = None
        for replica in self._two_in_turn():
            if deadline.expired:
                break
            try:
                return self._try(replica, question, deadline.remaining())
            except UnavailableError as error:
                failure = error
        if failure is not None:
            raise failure
        raise OpenCircuitError(
            "no TensorFlow Serving answers, and all are left alone for a while",
            where=", ".join(replica.endpoint.address for replica in self._replicas),
            remedy="Look at the servers; they get requests again as soon as they answer in time",
        )

    def check(self) -> None:
        """Ask every address the last question there was, as far as its breaker lets it be asked."""
        question = self._last
        if question is None:
            return
        for replica in self._replicas:
            healthy = _is_healthy(replica)
            if not healthy:
                if not replica.breaker.allows():
                    continue
                replica.endpoint.connect(self._deadline_s)
            try:
                self._try(replica, question, self._deadline_s)
            except UnavailableError:
                continue

    def close(self) -> None:
        """Stop checking and give the connections back."""
        self._finalizer()

    def _two_in_turn(self) -> Iterator[_Replica]:
        """At most two healthy addresses, beginning with another one every time."""
        turn = next(self._turn) % len(self._replicas)
        order = self._replicas[turn:] + self._replicas[:turn]
        return itertools.islice(filter(_is_healthy, order), 2)

    def _try(self, replica: _Replica, question: _Question, timeout_s: float) -> TensorDict:
        try:
            outputs = replica.endpoint.predict(self.version, question.signature, question.tensors, timeout_s)
            _check(outputs, question, replica.endpoint.address)
        except UnavailableError:
            replica.breaker.failed()
            raise
        except BaseException:
            replica.breaker.withdrawn()
            raise
        replica.breaker.succeeded()
        return outputs


class TFServingRuntime:
    """The scorer of one deep ranker: the same call as the LiteRT runtime's, answered elsewhere.

    Lists are made as wide as the widest there were, in steps, up to a bound: a server that puts requests
    into one batch refuses those of different widths. The empty slots are cut off again.

    Args:
        model: The version.
        signature: Which of its deep rankers.
        heads: What that one gives.
    """

    def __init__(self, model: ServedModel, signature: str, heads: tuple[str, ...]) -> None:
        self._model, self._signature, self._heads = model, signature, heads
        self._width = _WIDTH_STEP

    def __call__(self, inputs: TensorDict) -> TensorDict:
        """Logits ``[n_lists, width]`` by head.

        Raises:
            UnavailableError: No valid answer within the deadline.
        """
        n_lists, width = inputs["track_index"].shape
        if not n_lists or not width:
            return {head: np.zeros((n_lists, width), np.float32) for head in self._heads}
        wide = -(-width // _WIDTH_STEP) * _WIDTH_STEP
        self._width = max(self._width, min(wide, _WIDEST_KEPT))
        padded = _padded(inputs, max(wide, self._width) - width)
        answers = [
            self._model.ask(self._signature, _lists(padded, start), self._heads)
            for start in range(0, n_lists, MAX_LISTS)
        ]
        return {head: np.concatenate([answer[head][:, :width] for answer in answers]) for head in self._heads}


def _lists(inputs: TensorDict, start: int) -> TensorDict:
    return {name: array[start : start + MAX_LISTS] for name, array in inputs.items()}


def _padded(inputs: TensorDict, extra: int) -> TensorDict:
    """Inputs with ``extra`` more empty slots in every list."""
    return inputs | {
        "features": np.pad(inputs["features"], [(0, 0), (0, extra), (0, 0)]),
        "track_index": np.pad(inputs["track_index"], [(0, 0), (0, extra)], constant_values=-1),
    }


def _check(outputs: TensorDict, question: _Question, address: str) -> None:
    """Refuse an answer to something else, and numbers that are none."""
    shape = question.tensors["track_index"].shape
    for head in question.heads:
        logits = outputs.get(head)
        if logits is None:
            raise UnavailableError(f"the answer has no {head!r}", where=address)
        if logits.shape != shape:
            raise UnavailableError(f"{head!r} has shape {logits.shape} instead of {shape}", where=address)
        if not np.isfinite(logits).all():
            raise UnavailableError(f"{head!r} has values that are no numbers", where=address)


def _is_healthy(replica: _Replica) -> bool:
    return replica.breaker.state is BreakerState.CLOSED


def _connect_all(endpoints: Sequence[Endpoint]) -> None:
    """Connect to all at once: those that are away cost one wait together."""
    threads = [threading.Thread(target=endpoint.connect, args=(_CONNECT_S,)) for endpoint in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * _CONNECT_S)


def _close(endpoints: Sequence[Endpoint], stopped: threading.Event) -> None:
    stopped.set()
    for endpoint in endpoints:
        endpoint.close()


def _watch(model: Callable[[], ServedModel | None], stopped: threading.Event, every_s: float) -> None:
    """Check until stopped, or until nobody else holds the model."""
    while not stopped.wait(every_s):
        watched = model()
        if watched is None:
            return
        try:
            watched.check()
        except Exception:
            # Whatever went wrong, addresses that were left alone have to come back.
            _log.exception("checking TensorFlow Serving failed")
        del watched
