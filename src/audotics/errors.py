"""Every error Audotics raises on purpose, in one tree.

    AudoticsError                  catch this to catch them all
    ├── BadInputError              what the caller gave cannot be used           exit code 2
    │   ├── MissingExtraError      an optional dependency is not installed
    │   └── NotFittedError         a component was used before `fit`
    ├── DamagedError               a stored file is not what its manifest says   exit code 3
    ├── RefusedError               a gate or a check said no                     exit code 3
    └── UnavailableError           a store or a server does not answer now       exit code 3
        ├── OpenCircuitError       it failed again and again, and is left alone
        ├── OverloadedError        as much is under way as may be
        └── StorageFullError       there is no room to store anything

Every message says what is wrong, where, and what to do about it. Anything else that
reaches the command line is a bug (exit code 1).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from pydantic import ValidationError


class AudoticsError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The file, line, column or setting concerned.
        remedy: What the caller can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.remedy}" if self.remedy else text

    def __reduce__(self) -> tuple[object, ...]:
        # Arguments go by name, which what exceptions have of their own does not know: a worker's error
        # would not reach the process that asked.
        return _made_again, (type(self), self.args, self.__dict__)


class BadInputError(AudoticsError):
    """What the caller gave (a file, an option, an argument) cannot be used."""

    exit_code = 2

    @classmethod
    def in_setting(cls, error: ValidationError, prefix: str = "", known: Iterable[str] = ()) -> Self:
        """The first complaint of pydantic in words that say what to do.

        Args:
            error: What validation raised.
            prefix: Where the validated settings belong (``deep.``).
            known: Names of the settings that exist.
        """
        first = error.errors()[0]
        where = prefix + ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            return cls("there is no such setting", where=where, remedy=f"Settings are {', '.join(known)}")
        if first["type"] in {"tuple_type", "list_type"}:
            return cls("a list is needed", where=where, remedy='Write it as ["one", "two"]')
        return cls(f"{first['msg']}, not {first['input']!r}", where=where)


class MissingExtraError(BadInputError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the optional dependency group '{extra}'",
            remedy=f"Install it with: pip install 'audotics[{extra}]'",
        )


class NotFittedError(BadInputError):
    """A component was used before it learned anything."""

    def __init__(self, component: str) -> None:
        super().__init__(f"{component} is not fitted yet", remedy="Call `fit` first")


class DamagedError(AudoticsError):
    """A stored file is missing, changed or from a newer schema than this code reads."""

    exit_code = 3


class RefusedError(AudoticsError):
    """A gate or a check said no; nothing was changed."""

    exit_code = 3


class UnavailableError(AudoticsError):
    """A server, a store or a place to work is not to be had now; nothing was acknowledged, try again later.

    Args:
        what: What is wrong, one sentence without a full stop.
        where: The store or server concerned.
        remedy: What the caller can do about it.
        retry_after_s: When trying again may help.
    """

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", remedy: str = "", retry_after_s: float = 1.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(what, where=where, remedy=remedy)


class OpenCircuitError(UnavailableError):
    """A dependency failed again and again, so it is not even asked for a while."""


class OverloadedError(UnavailableError):
    """As much work is under way as is allowed."""


class StorageFullError(UnavailableError):
    """There is no room to store anything; what was stored before is intact."""


def _made_again(
    kind: type[AudoticsError], args: tuple[object, ...], state: dict[str, object]
) -> AudoticsError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error
