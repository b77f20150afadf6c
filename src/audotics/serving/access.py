"""Who may do what: API keys with scopes, hashed at rest, and a rate limit for each."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from starlette.responses import Response

from audotics.errors import BadInputError
from audotics.registry.durable import replace_text, write_new
from audotics.serving.problems import problem

PREFIX = "aud_"
_OPEN_PATHS = ("/health/", "/docs", "/openapi.json")


class Scope(StrEnum):
    """What a key allows; each includes those before it."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


_ORDER = {Scope.READ: 0, Scope.WRITE: 1, Scope.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: never the secret itself."""

    name: str
    scope: Scope
    sha256: str


class KeyFile:
    """Keys in a JSON file that only its owner may read.

    Args:
        path: The file; made with the first key.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> tuple[Key, ...]:
        """All keys.

        Raises:
            BadInputError: The file cannot be read.
        """
        if not self.path.exists():
            return ()
        try:
            rows = json.loads(self.path.read_text(encoding="utf-8"))
            return tuple(Key(row["name"], Scope(row["scope"]), row["sha256"]) for row in rows)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(
                f"is no file of API keys ({error})",
                where=str(self.path),
                remedy="Make one: `audotics keys create`",
            ) from error

    def create(self, name: str, scope: Scope) -> str:
        """Add a key; returns its secret, which is nowhere kept.

        The secret has 256 random bits, so a plain SHA-256 keeps it: there is nothing to guess.

        Raises:
            BadInputError: A key has that name.
        """
        keys = self.all()
        if any(key.name == name for key in keys):
            raise BadInputError(f"there is a key {name!r}", where=str(self.path), remedy="Revoke it first")
        secret = PREFIX + secrets.token_urlsafe(32)
        self._write((*keys, Key(name, scope, _digest(secret))))
        return secret

    def revoke(self, name: str) -> None:
        """Remove a key.

        Raises:
            BadInputError: There is none of that name.
        """
        keys = self.all()
        left = tuple(key for key in keys if key.name != name)
        if len(left) == len(keys):
            raise BadInputError(f"there is no key {name!r}", where=str(self.path))
        self._write(left)

    def _write(self, keys: tuple[Key, ...]) -> None:
        rows = [{"name": key.name, "scope": key.scope.value, "sha256": key.sha256} for key in keys]
        text = json.dumps(rows, indent=2) + "\n"
        if self.path.exists():
            replace_text(self.path, text)
        else:
            write_new(self.path, text)


class Access:
    """Decides about requests.

    Without a key file reading and writing are open, as on the loopback address that a server listens
    on by default; what only operators may do stays shut.

    Args:
        keys: The keys; None where there is no file.
        rate_limit: Requests per second of one key (or of all callers without keys); 0 sets no limit.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        keys: tuple[Key, ...] | None,
        rate_limit: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._rate = rate_limit
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def refusal(self, method: str, path: str, headers: Mapping[bytes, bytes]) -> Response | None:
        """A problem document where the request may not pass; None where it may."""
        if path.startswith(_OPEN_PATHS):
            return None
        needed = needed_scope(method, path)
        if self._keys is None:
            if needed is Scope.ADMIN:
                return problem(403, "operators need an API key of scope admin; this server has no key file")
            return self._limit("")
        key = self._key_of(headers)
        if key is None:
            return problem(
                401, "send an API key: Authorization: Bearer aud_...", {"WWW-Authenticate": "Bearer"}
            )
        if _ORDER[key.scope] < _ORDER[needed]:
            return problem(403, f"this needs a key of scope {needed.value}, the key has {key.scope.value}")
        return self._limit(key.name)

    def _key_of(self, headers: Mapping[bytes, bytes]) -> Key | None:
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() != b"bearer" or not secret:
            return None
        digest = hashlib.sha256(secret.strip()).hexdigest()
        found = None
        for key in self._keys or ():  # every key is compared, so that time tells nothing
            if hmac.compare_digest(key.sha256, digest):
                found = key
        return found

    def _limit(self, name: str) -> Response | None:
        """Token bucket: a second's worth may come at once."""
        if self._rate <= 0:
            return None
        now = self._clock()
        tokens, at = self._buckets.get(name, (max(1.0, self._rate), now))
        tokens = min(max(1.0, self._rate), tokens + (now - at) * self._rate)
        if tokens < 1:
            self._buckets[name] = (tokens, now)
            wait = (1 - tokens) / self._rate
            return problem(
                429, f"more than {self._rate:g} requests per second", {"Retry-After": str(int(wait) + 1)}
            )
        self._buckets[name] = (tokens - 1, now)
        return None


def needed_scope(method: str, path: str) -> Scope:
    """What a request needs: changing versions, experiments or somebody's data is for operators."""
    if path.startswith(("/v1/models", "/v1/experiments")) and method not in {"GET", "HEAD"}:
        return Scope.ADMIN
    if method == "DELETE":
        return Scope.ADMIN
    if method in {"PUT", "PATCH"} or path == "/v1/events":
        return Scope.WRITE
    return Scope.READ


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
