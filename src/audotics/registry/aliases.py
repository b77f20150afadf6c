"""Movable names for versions, and the history of their moves."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from audotics.errors import BadInputError, DamagedError
from audotics.registry.durable import append_line, locked, make_folder, replace_text
from audotics.registry.names import check_alias, is_version

HISTORY = "history.jsonl"


class Aliases:
    """Text files holding a version each, replaced atomically.

    Args:
        folder: Where they lie; created with the first alias.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """Every alias, sorted."""
        if not self._folder.is_dir():
            return ()
        files = (path.name for path in self._folder.iterdir())
        return tuple(sorted(name for name in files if not name.startswith(".") and name != HISTORY))

    def get(self, name: str) -> str | None:
        """The version an alias points to; None where there is no such alias.

        Raises:
            BadInputError: The name cannot be an alias.
            DamagedError: The file does not hold a version.
        """
        path = self._folder / check_alias(name)
        try:
            version = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise DamagedError("the alias cannot be read", where=str(path)) from error
        if not is_version(version):
            raise DamagedError("the alias does not hold a version", where=str(path), remedy="Set it again")
        return version

    def set(self, name: str, version: str, check: Callable[[str], object] = lambda _: None) -> None:
        """Point the alias to the version; where it already does, only `set_at` moves.

        Args:
            name: The alias.
            version: Where to.
            check: Called with the version before the move; raises to forbid it.
        """
        check_alias(name)
        make_folder(self._folder)
        with locked(self._folder):
            check(version)
            if self.get(name) != version:
                self._move(name, version, "set")
            else:
                (self._folder / name).touch()  # somebody meant it: a server that dropped it tries again

    def set_at(self, name: str) -> int:
        """When the alias was last set or rolled back, in nanoseconds; 0 where there is none.

        It comes from the file: an alias that was written by hand has been set, too.
        """
        try:
            return (self._folder / check_alias(name)).stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def rollback(self, name: str, check: Callable[[str], object], away_from: str | None = None) -> str:
        """Point the alias back to where it pointed before its last move; return that version.

        Rolling back twice goes back two moves.

        Args:
            name: The alias.
            check: Called with the version before the move; raises to forbid it.
            away_from: Only where it still points there; else nothing happens, and the version that it
                points to is returned. Of several servers that drop a version one rolls back.

        Raises:
            BadInputError: There is no such alias, or no move to take back.
        """
        if self.get(name) is None:
            raise BadInputError(f"there is no alias {name!r}", where=str(self._folder))
        with locked(self._folder):
            current = self.get(name)
            if current is not None and away_from not in (None, current):
                return current
            previous = self._before(name)
            check(previous)
            self._move(name, previous, "rollback")
        return previous

    def _move(self, name: str, version: str, action: str) -> None:
        # History first: a crash in between leaves a move too many in it, which `_before` sees through.
        # The other order could leave one too few, and a rollback would skip a version.
        moved_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = {"at": moved_at, "alias": name, "action": action, "version": version}
        append_line(self._folder / HISTORY, json.dumps(entry))
        replace_text(self._folder / name, version + "\n")

    def earlier(self, name: str) -> list[str]:
        """The versions that rolling back would lead to, one move after another, nearest first."""
        current = self.get(name)
        stack: list[str] = []
        for action, version in self.moves(name):
            if action == "set":
                stack.append(version)
            elif version in stack:
                del stack[len(stack) - stack[::-1].index(version) :]
        while stack and stack[-1] != current:
            stack.pop()
        return stack[-2::-1]

    def _before(self, name: str) -> str:
        earlier = self.earlier(name)
        if not earlier:
            raise BadInputError(
                f"alias {name!r} has no earlier version to go back to",
                where=str(self._folder / HISTORY),
                remedy="Set it to a version of your choice instead",
            )
        return earlier[0]

    def moves(self, name: str) -> list[tuple[str, str]]:
        """Every move of an alias, oldest first: ``set`` or ``rollback``, and where to.

        After a crash the last one may be a move that was begun and never done: the alias itself tells.
        """
        path = self._folder / HISTORY
        lines = path.read_bytes().splitlines() if path.exists() else []
        moves = []
        for line in lines:
            try:
                entry = json.loads(line)
                if entry["alias"] == name:
                    moves.append((entry["action"], entry["version"]))
            except (ValueError, KeyError, TypeError):
                continue  # a line that a crash cut short: its move never happened
        return moves
