"""Costs that were not measured but chosen, so that a plan can be worked out by hand."""

from __future__ import annotations

from audotics.distributed.costs import MeasuredCosts, Point

SIZES = ((100_000, 1_000, 2_000), (1_000_000, 10_000, 20_000), (10_000_000, 100_000, 200_000))
"""Events, listeners and tracks."""


def points(*figures: dict[str, object]) -> tuple[Point, ...]:
    """One point for each size."""
    return tuple(
        Point.model_validate({"n_events": events, "n_listeners": listeners, "n_tracks": tracks, **given})
        for (events, listeners, tracks), given in zip(SIZES, figures, strict=True)
    )


def power(exponent: float, **at_largest: float) -> tuple[Point, ...]:
    """Figures that grow with the size to a power; given at the largest."""
    return points(
        *(
            {
                name: type(value)(value * (events / SIZES[-1][0]) ** exponent)
                for name, value in at_largest.items()
            }
            for events, _, _ in SIZES
        )
    )


KNOWN = MeasuredCosts(
    machine="a machine that nobody has",
    measured_on="2026-01-01",
    stages={
        # 100 bytes an event
        "journal": power(1, seconds=100.0, stored_bytes=10**9),
        # 36 s for 10 million events and in proportion; 1 GiB for all of them
        "import": power(1, seconds=36.0, memory_mib=1024.0),
        # with the square of the tracks
        "content": power(2, seconds=3.6, memory_mib=512.0, answer_s=0.001),
        # with the square root
        "ials": power(0.5, seconds=36.0, memory_mib=2048.0, answer_s=0.002),
        # 4 ms an answer, 1 GiB of files
        "version": power(1, seconds=1.0, stored_bytes=2**30, answer_s=0.004),
        "ranker": power(0, seconds=72.0, memory_mib=512.0, answer_s=0.001),
        "batch": power(0, seconds=1.0, answer_s=0.0036),
    },
)
