"""What the moves of an alias say of the version that it names now."""

from __future__ import annotations

from collections.abc import Sequence


def returns(moves: Sequence[tuple[str, str]], version: str) -> bool:
    """Whether an alias comes back to a version that served well.

    It does where the last move was a rollback to it, or where the alias left it the last time because
    another one was promoted, not because it was rolled back.

    Args:
        moves: Of the alias, oldest first, see `Registry.moves`.
        version: Where it points now.
    """
    if moves and moves[-1] == ("rollback", version):
        return True
    left = [place for place in range(len(moves) - 1) if moves[place][1] == version]
    return bool(left) and moves[left[-1] + 1][0] == "set"
