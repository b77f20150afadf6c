"""From a Dataset to a published version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.training.config import TrainConfig as TrainConfig
    from audotics.training.pipeline import Trained as Trained
    from audotics.training.pipeline import TrainingPipeline as TrainingPipeline
    from audotics.training.publishing import load_version as load_version
    from audotics.training.publishing import publish as publish

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "TrainConfig": "config",
        "Trained": "pipeline",
        "TrainingPipeline": "pipeline",
        "load_version": "publishing",
        "publish": "publishing",
    },
)
