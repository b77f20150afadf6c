"""What both clients share: how httpx is set up, and what an exchange means."""

from __future__ import annotations

from typing import Any, TypedDict

import httpx

from audotics.client.calls import Call, Result
from audotics.client.errors import ServerFaultError, UnreachableError, error_of

RETRIED = (httpx.TransportError,)
"""No whole answer came: nobody listens, the connection broke, or time was up."""


class Options(TypedDict):
    """What httpx is told."""

    base_url: str
    headers: dict[str, str]
    timeout: httpx.Timeout


def options(base_url: str, api_key: str | None, timeout_s: float) -> Options:
    """Time-outs on everything; a key where there is one."""
    headers = {"Accept": "application/json", "User-Agent": "audotics-client"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    # Whoever does not accept a connection in a second will not answer in time either.
    timeout = httpx.Timeout(timeout_s, connect=min(1.0, timeout_s))
    return {"base_url": base_url.rstrip("/"), "headers": headers, "timeout": timeout}


def arguments(call: Call[Any]) -> dict[str, Any]:
    """A call as httpx takes it."""
    given = {name: value for name, value in call.params.items() if value is not None}
    sent: dict[str, Any] = {"method": call.method, "url": call.path}
    if given:
        sent["params"] = given
    if call.body is not None:
        sent["json"] = call.body
    return sent


def result_of(call: Call[Result], answer: httpx.Response) -> Result:
    """What the answer says.

    Raises:
        ClientError: It is an error, or nothing that a server of ours says.
    """
    try:
        said = answer.json()
    except ValueError:
        said = {}
    document = said if isinstance(said, dict) else {}
    if answer.status_code not in call.taken:
        raise error_of(answer.status_code, document)
    try:
        return call.read(document)
    except (KeyError, TypeError) as error:
        if answer.status_code >= 400:
            raise error_of(answer.status_code, document) from error
        raise ServerFaultError(
            f"the answer is not one of an Audotics server ({error})", status=answer.status_code
        ) from error


def unreachable(error: httpx.TransportError, tries: int) -> UnreachableError:
    """No answer came, whatever was tried."""
    return UnreachableError(f"no answer in {tries} tries ({type(error).__name__}: {error})")
