"""The version that serves: follows its alias, loads beside, swaps between two requests."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from audotics.errors import AudoticsError, DamagedError, UnavailableError
from audotics.registry import Registry
from audotics.resilience import Lookout
from audotics.serving.served import Runtimes, Served, in_process
from audotics.slate.config import SlateConfig

POLL_S = 0.5
BURST_S = 0.5
"""Tracks that come within such a time after others are laid over the version together."""

RETRY_S = 30.0
"""A version that could not be loaded is tried again after so long: its files may have been incomplete."""

_log = logging.getLogger("audotics.serving")


class ModelFollower:
    """Holds the version that an alias names, and changes it without a pause.

    Args:
        models_dir: Folder of versions.
        alias: Whose version serves.
        rules: Rules of every slate.
        on_swap: Called with a version that has just begun to serve.
        runtimes: What scores with the deep rankers of a version.
        overlay: Lays what was added since over a version, and gives the same one back where nothing was.

    Attributes:
        current: Read it once for each request: answers then never mix two versions.
        previous: The version to go back to while ``current`` is on probation; None otherwise.
        trouble: Why the version that the alias names does not serve; empty where it does.
        on_trial: Asked just before a swap, with the new version and the one to go back to: whether to keep
            the latter, until `release` or `drop`.
        rehearse: Called with a version before it serves; raises where it must not.
    """

    def __init__(
        self,
        models_dir: Path,
        alias: str,
        rules: SlateConfig,
        on_swap: Callable[[Served], None] = lambda _: None,
        runtimes: Runtimes = in_process,
        overlay: Callable[[Served], Served] = lambda served: served,
    ) -> None:
        self._models_dir = models_dir
        self._alias = alias
        self._rules = rules
        self._on_swap = on_swap
        self._runtimes = runtimes
        self._overlay = overlay
        self._registry = Registry(models_dir)
        self._refused: dict[str, float] = {}
        self._dropped: dict[str, tuple[int, str]] = {}
        self._swapping = threading.Lock()
        self.trouble = ""
        self.on_trial: Callable[[Served, Served], bool] = lambda _, __: False
        self.rehearse: Callable[[Served], object] = lambda _: None
        self.previous: Served | None = None
        self.current = self._first()
        self._lookout = Lookout("model-follower", self._follow, POLL_S)

    def start(self) -> None:
        """Begin to follow."""
        self._lookout.start()

    def stop(self) -> None:
        """Stop following; the current version stays usable."""
        self._lookout.stop()

    def wake(self) -> None:
        """Look at once: there is something to lay over the version."""
        self._lookout.wake()

    def lay(self) -> bool:
        """Lay over the version what was added since; whether anything was."""
        served = self.current
        laid = self._overlay(served)
        with self._swapping:
            if laid is served or self.current is not served:
                return False
            self.current = laid
        return True

    def check(self) -> bool:
        """Look at the alias once and swap if it names another version that loads; whether it swapped."""
        try:
            wanted = self._registry.resolve(self._alias)
        except AudoticsError as error:
            self.trouble = str(error)
            return False
        if wanted == self.current.version:
            self.trouble = ""
            return False
        if self._is_dropped(wanted) or time.monotonic() < self._refused.get(wanted, 0.0):
            return False
        try:
            fresh = self._ready(wanted)
        except Exception as error:
            # Whatever is wrong with the new version, the old one goes on.
            self._refused[wanted] = time.monotonic() + RETRY_S
            self.trouble = f"version {wanted} does not load: {error}"
            _log.error("%s; %s goes on", self.trouble, self.current.version)
            return False
        self._swap(fresh)
        return True

    def drop(self, version: str, reason: str) -> bool:
        """Go back to the version before, between two requests; whether this one still was on probation.

        It does not serve again until its alias is set anew.

        Args:
            version: The version on probation.
            reason: What `trouble` says while the alias names it.
        """
        with self._swapping:
            if self.previous is None or self.current.version != version:
                return False
            self._dropped[version] = self._registry.set_at(self._alias), reason
            self.current, self.previous = self.previous, None
        self.wake()  # tracks that were added meanwhile are laid over it
        return True

    def release(self, version: str) -> None:
        """Let go of the version before: this one has passed its probation."""
        with self._swapping:
            if self.current.version == version:
                self.previous = None

    def _swap(self, fresh: Served) -> None:
        with self._swapping:
            # What is on probation itself is nothing to go back to.
            back = self.previous or self.current
            self.previous = back if self.on_trial(fresh, back) else None
            self.current, self.trouble = fresh, ""
        _log.info("version %s serves", fresh.version)
        self._on_swap(fresh)

    def _is_dropped(self, wanted: str) -> bool:
        """Whether this version was dropped, and its alias not set anew since."""
        set_at, reason = self._dropped.get(wanted, (0, ""))
        if not reason:
            return False
        if set_at != self._registry.set_at(self._alias):
            del self._dropped[wanted]
            return False
        self.trouble = f"version {wanted} was dropped ({reason}); promote it again to try it once more"
        return True

    def _ready(self, wanted: str) -> Served:
        """A version that has rehearsed, with the tracks added since its training."""
        previous = self.previous
        if previous is not None and previous.version == wanted:
            self._registry.verify(wanted)  # it is in memory, and parts of it are maps of its files
            return self._overlay(previous)
        fresh = self._load(wanted)
        self.rehearse(fresh)
        return self._overlay(fresh)

    def _first(self) -> Served:
        """The alias' version, or else the newest one that loads: a server with an old model beats none.

        Raises:
            AudoticsError: No version loads.
        """
        wanted = self._registry.resolve(self._alias)
        try:
            return self._load(wanted, unscored=True)
        except DamagedError as damage:
            for version in reversed(self._registry.versions()):
                if version != wanted:
                    try:
                        served = self._load(version, unscored=True)
                    except AudoticsError:
                        continue
                    self.trouble = f"version {wanted} does not load: {damage}"
                    self._refused[wanted] = time.monotonic() + RETRY_S
                    _log.error("%s; %s serves instead", self.trouble, version)
                    return served
            raise

    def _load(self, version: str, *, unscored: bool = False) -> Served:
        """A version that has answered; with ``unscored`` also one whose scorer is away just now.

        A version that is to replace another one waits until its scorer has it.
        """
        served = Served.load(self._models_dir, version, self._rules, self._runtimes)
        try:
            served.answer_first()
            served.answer_on_all_rungs()
        except UnavailableError as error:
            if not unscored:
                raise
            _log.error("version %s serves without its scorer: %s", version, error)
        return served

    def _follow(self) -> None:
        self.check()
        if self.lay():
            self._lookout.rest(BURST_S)
