"""The peers by name: where each is, which library it needs, and how that is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec

from audotics.benchmark.protocol import Peer
from audotics.errors import BadInputError, MissingExtraError


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """What is known of a peer before its library is imported.

    Args:
        name: What people call it.
        module: Where its class is.
        attribute: Name of the class.
        libraries: Packages that it imports, the one that the method is of first; empty for what needs none.
        extra: The optional dependency group that has them.
        needs_order: Whether histories without an order are of no use to it.
        only_heard: Whether it recommends nothing but what the listener has heard.
    """

    name: str
    module: str
    attribute: str
    libraries: tuple[str, ...] = ()
    extra: str = ""
    needs_order: bool = False
    only_heard: bool = False

    @property
    def missing(self) -> tuple[str, ...]:
        """The libraries that are not installed."""
        return tuple(library for library in self.libraries if find_spec(library) is None)

    def load(self) -> type[Peer]:
        """The class.

        Raises:
            MissingExtraError: Its library is not installed.
        """
        if self.missing:
            raise MissingExtraError(f"the peer '{self.name}'", self.extra)
        found: type[Peer] = getattr(import_module(self.module), self.attribute)
        return found


_ROOM = "audotics.benchmark.peers"

PEERS = {
    entry.name: entry
    for entry in (
        PeerEntry("popularity", f"{_ROOM}.popularity", "Popularity"),
        PeerEntry("most-played", f"{_ROOM}.popularity", "MostPlayed", only_heard=True),
        PeerEntry("implicit-als", f"{_ROOM}.implicit_als", "ImplicitALS", ("implicit",), "peers"),
        PeerEntry("implicit-bpr", f"{_ROOM}.implicit_bpr", "ImplicitBPR", ("implicit",), "peers"),
        PeerEntry("implicit-bm25", f"{_ROOM}.implicit_knn", "ImplicitBM25", ("implicit",), "peers"),
        PeerEntry("implicit-cosine", f"{_ROOM}.implicit_knn", "ImplicitCosine", ("implicit",), "peers"),
        PeerEntry("ease", f"{_ROOM}.ease", "DenseEASE"),
        PeerEntry(
            "lenskit-slim", f"{_ROOM}.lenskit_slim", "LenskitSLIM", ("lenskit", "pandas"), "peers-torch"
        ),
        PeerEntry(
            "sasrec",
            f"{_ROOM}.sasrec",
            "CornacSASRec",
            ("cornac", "torch"),
            "peers-torch",
            needs_order=True,
        ),
    )
}
"""Every peer, in the order of the report's rows before they are sorted."""


def find_peer(name: str) -> PeerEntry:
    """The entry of a peer.

    Raises:
        BadInputError: There is none of that name.
    """
    if name not in PEERS:
        raise BadInputError(
            f"there is no peer {name!r}", where="--against", remedy=f"Known are {', '.join(PEERS)}"
        )
    return PEERS[name]


@dataclass(frozen=True, slots=True)
class Lineup:
    """Who takes part.

    Args:
        peers: Those that run, without repeats.
        left_out: Name -> why, of those that were not named and cannot run here.
    """

    peers: tuple[PeerEntry, ...]
    left_out: dict[str, str]


def line_up(names: Sequence[str] | None, *, ordered: bool, include_heard: bool) -> Lineup:
    """The named peers, or all that make sense here.

    Args:
        names: What the user asked for; None takes every peer that is installed and of use on the data.
        ordered: Whether the histories have an order.
        include_heard: Whether heard tracks may be recommended.

    Raises:
        MissingExtraError: A named peer's library is not installed.
        BadInputError: A named peer does not exist, or has nothing to say on this data.
    """
    wanted = [find_peer(name) for name in dict.fromkeys(PEERS if names is None else names)]
    reasons = {entry.name: _why_not(entry, ordered=ordered, include_heard=include_heard) for entry in wanted}
    if names is not None:
        for entry in wanted:
            entry.load()
            if reasons[entry.name]:
                raise BadInputError(
                    reasons[entry.name], where=f"--against {entry.name}", remedy="Leave it out"
                )
    return Lineup(
        tuple(entry for entry in wanted if not reasons[entry.name]),
        {name: reason for name, reason in reasons.items() if reason},
    )


def _why_not(entry: PeerEntry, *, ordered: bool, include_heard: bool) -> str:
    if entry.needs_order and not ordered:
        return "needs the order of plays, which this data lacks"
    if entry.only_heard and not include_heard:
        return "recommends heard tracks alone; give --include-heard"
    if entry.missing:
        return f"not installed ({', '.join(entry.missing)}): pip install 'audotics[{entry.extra}]'"
    return ""
