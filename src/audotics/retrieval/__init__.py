"""Retrievers: each proposes tracks for a query, with a score."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.retrieval.names import RETRIEVER_NAMES as RETRIEVER_NAMES
    from audotics.retrieval.names import new_retriever as new_retriever
    from audotics.retrieval.names import retriever_class as retriever_class
    from audotics.retrieval.protocol import Retriever as Retriever

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "RETRIEVER_NAMES": "names",
        "Retriever": "protocol",
        "new_retriever": "names",
        "retriever_class": "names",
    },
)
