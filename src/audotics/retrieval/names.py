"""The retrievers by name, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from audotics.errors import BadInputError
from audotics.retrieval.protocol import Retriever

_RETRIEVERS = {
    "ials": ("audotics.retrieval.ials", "IALS"),
    "ease": ("audotics.retrieval.ease", "EASE"),
    "rp3beta": ("audotics.retrieval.rp3beta", "RP3Beta"),
    "item-knn": ("audotics.retrieval.item_knn", "ItemKNN"),
    "popularity": ("audotics.retrieval.popularity", "Popularity"),
    "favourites": ("audotics.retrieval.favourites", "Favourites"),
    "transitions": ("audotics.retrieval.transitions", "Transitions"),
    "content": ("audotics.retrieval.content", "ContentKNN"),
}

RETRIEVER_NAMES = tuple(_RETRIEVERS)
"""Every retriever."""


def retriever_class(name: str) -> type[Retriever]:
    """The class of a retriever.

    Raises:
        BadInputError: There is no retriever of that name.
    """
    if name not in _RETRIEVERS:
        raise BadInputError(f"there is no retriever {name!r}", remedy=f"Known are {', '.join(_RETRIEVERS)}")
    module, attribute = _RETRIEVERS[name]
    found: type[Retriever] = getattr(import_module(module), attribute)
    return found


def new_retriever(name: str, settings: Mapping[str, Any]) -> Retriever:
    """An unfitted retriever with the given settings, the defaults for the others.

    Raises:
        BadInputError: There is no such retriever or setting, or a value is out of bounds.
    """
    found = retriever_class(name)
    try:
        return found(found.config_type.model_validate(dict(settings)))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BadInputError(
            first["msg"], where=f"{name}.{field}", remedy="See the settings in docs"
        ) from error
