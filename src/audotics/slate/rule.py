"""What a rule of the slate can do while it is filled, place by place, for many requests at once."""

from __future__ import annotations

from typing import Protocol

from audotics.domain import BoolArray, FloatArray, IndexArray


class Rule(Protocol):
    """Heeds the tracks taken so far."""

    @property
    def name(self) -> str:
        """What the rule is called in the configuration and in the statistics."""
        ...

    def take(self, slots: IndexArray) -> None:
        """Heed the candidate that each request takes ``[batch]``."""
        ...


class Constraint(Rule, Protocol):
    """Forbids candidates."""

    def forbidden(self) -> BoolArray:
        """``[batch, width]``: True where a candidate must not be taken next."""
        ...


class Objective(Rule, Protocol):
    """Weighs against relevance."""

    @property
    def knob(self) -> float:
        """0 changes nothing, 1 leaves relevance out."""
        ...

    def penalty(self) -> FloatArray:
        """``[batch, width]``: what speaks against each candidate, up to a constant of each request."""
        ...
