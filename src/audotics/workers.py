"""Where functions are called: several at once, in other processes or on other machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")


Value = TypeVar("Value", covariant=True)


class Shared(Protocol[Value]):
    """A value that many tasks need, which each machine gets once."""

    def get(self) -> Value:
        """The value; do not change it."""


class Workers(Protocol):
    """Processes that call functions for this one.

    A worker that dies is replaced and its task begun anew, so a task may run twice, at worst side by side:
    functions write under names that no other attempt uses, and only what they return counts.
    """

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
        """Call ``function`` for each task; results come in the order of the tasks.

        Args:
            function: Of a module that workers can import.
            tasks: Drawn a few ahead of the results, so that they need not fit into memory together.

        Raises:
            AudoticsError: What a call raised.
        """

    def share(self, value: Result) -> Shared[Result]:
        """Hand a value over beforehand, for tasks to carry instead of it."""
