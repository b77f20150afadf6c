"""Rules between ranking and listener: what may be shown, in which mix and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.slate.assembly import SlateMaker as SlateMaker
    from audotics.slate.catalogue import SlateCatalogue as SlateCatalogue
    from audotics.slate.config import SlateConfig as SlateConfig
    from audotics.slate.config import read_rules as read_rules
    from audotics.slate.statistics import SlateStatistics as SlateStatistics

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "SlateCatalogue": "catalogue",
        "SlateConfig": "config",
        "SlateMaker": "assembly",
        "SlateStatistics": "statistics",
        "read_rules": "config",
    },
)
