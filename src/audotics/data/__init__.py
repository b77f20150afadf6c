"""Listening data: the schema, importers, the Dataset folder, splits and the index-space Corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audotics.lazy_names import lazy_names

if TYPE_CHECKING:
    from audotics.data.dataset import Dataset as Dataset
    from audotics.data.importing import ImportReport as ImportReport
    from audotics.data.importing import import_dataset as import_dataset
    from audotics.data.writer import DatasetWriter as DatasetWriter

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Dataset": "dataset",
        "DatasetWriter": "writer",
        "ImportReport": "importing",
        "import_dataset": "importing",
    },
)
