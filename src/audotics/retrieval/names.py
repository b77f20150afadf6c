"""The retrievers by name, each imported when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from audotics.errors import BadInputError
from audotics.retrieval.protocol import Retriever

_RETRIEVERS = {
    "popularity": ("audotics.retrieval.popularity", "Popularity"),
    "favourites": ("audotics.retrieval.favourites", "Favourites"),
    "content": ("audotics.retrieval.content", "ContentKNN"),
    "friends": ("audotics.retrieval.friends", "Friends"),
    "item-knn": ("audotics.retrieval.item_knn", "ItemKNN"),
    "user-knn": ("audotics.retrieval.user_knn", "UserKNN"),
    "rp3beta": ("audotics.retrieval.rp3beta", "RP3Beta"),
    "transitions": ("audotics.retrieval.transitions", "Transitions"),
    "ials": ("audotics.retrieval.ials", "IALS"),
    "ease": ("audotics.retrieval.ease", "EASE"),
    "sequence": ("audotics.retrieval.sequence", "SequenceEncoder"),
}

RETRIEVER_NAMES = tuple(_RETRIEVERS)
"""Every retriever, the cheapest to fit first."""


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
        raise BadInputError.in_setting(error, f"settings.{name}.", found.config_type.model_fields) from error
