"""What can go wrong between a client and the server, by what can be done about it.

ClientError                    catch this to catch them all
├── UnreachableError           no answer came, after all retries
├── BusyError                  the server said "later" (429, 503, 507), after all retries
├── InvalidRequestError        the request is wrong (400, 413, 422 ...): sending it again is no use
├── NotAllowedError            the key is missing, unknown or of too small a scope (401, 403)
├── NotFoundError              there is no such track or path (404)
└── ServerFaultError           the server failed (other 5xx) or answered what no server of ours does
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audotics.errors import AudoticsError


class ClientError(AudoticsError):
    """Base of what a client raises.

    Args:
        what: What is wrong.
        status: Of the answer; 0 where none came.
        problem: The problem document (RFC 9457) that the server sent; empty where it sent none.
    """

    def __init__(self, what: str, *, status: int = 0, problem: Mapping[str, Any] | None = None) -> None:
        self.status = status
        self.problem = dict(problem or {})
        super().__init__(what, where=f"HTTP {status}" if status else "")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Where the request is not valid: field and reason, for events their index, too."""
        return list(self.problem.get("errors", ()))


class UnreachableError(ClientError):
    """No answer came."""


class BusyError(ClientError):
    """The server cannot take the request now."""


class InvalidRequestError(ClientError):
    """The request is wrong."""


class NotAllowedError(ClientError):
    """The API key does not allow it."""


class NotFoundError(ClientError):
    """There is no such thing."""


class ServerFaultError(ClientError):
    """The server failed."""


BUSY = frozenset({429, 503, 507})
"""Statuses after which the same request may succeed later."""


def error_of(status: int, problem: Mapping[str, Any]) -> ClientError:
    """The error that an answer means."""
    kind: type[ClientError] = InvalidRequestError if 400 <= status < 500 else ServerFaultError
    if status in BUSY:
        kind = BusyError
    elif status in {401, 403}:
        kind = NotAllowedError
    elif status == 404:
        kind = NotFoundError
    return kind(str(problem.get("detail", "no reason given")), status=status, problem=problem)
