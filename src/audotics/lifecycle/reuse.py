"""What a retraining takes over from the champion: its settings, those that were tuned included."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from audotics.errors import BadInputError
from audotics.registry.manifest import Manifest
from audotics.retrieval.names import RETRIEVER_NAMES
from audotics.training.config import TrainConfig


def config_like(champion: Manifest, changes: Mapping[str, Any], *, tune: bool) -> TrainConfig:
    """The champion's settings of training with changes.

    Retrievers keep the settings that tuning once found for them, so that nothing is searched again; one that
    the champion did not have is tuned.

    Args:
        champion: Whose settings.
        changes: Fields of `TrainConfig` that take the place of its own; ``settings`` by retriever name.
        tune: Whether to search the retrievers' settings anew.

    Raises:
        BadInputError: The champion does not say what its settings were, or they are not settings any more.
    """
    trained = champion.config.get("train", {})
    found = champion.config.get("retrievers", {})
    if not isinstance(trained, dict) or not isinstance(found, dict):
        raise BadInputError("the champion's manifest holds no settings", where=champion.version)
    kept = {} if tune else {name: values for name, values in found.items() if name in RETRIEVER_NAMES}
    named = changes.get("settings", {})
    values = {**trained, **changes, "settings": {**kept, **named} if not tune else named}
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise BadInputError.in_setting(error, "setting ", TrainConfig.model_fields) from error
