"""Fitted processors on disk: skops files, audited before anything is constructed, never pickle."""

from __future__ import annotations

import zipfile
from pathlib import Path

from skops import io as skops_io

from audotics.errors import BadInputError, DamagedError
from audotics.features.processor import DataProcessor

TRUSTED_TYPES = (
    "audotics.features.processor.DataProcessor",
    "audotics.features.processor.column_variance",
    "audotics.features.term_encoder.TermEncoder",
    "numpy.dtype",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
)
"""All that a processor is made of beyond what skops trusts itself (scikit-learn's estimators, arrays)."""


def save_processor(processor: DataProcessor, path: Path) -> None:
    """Write a processor, fitted or not, to ``path`` (a zip of JSON and ``.npy`` files).

    Raises:
        BadInputError: It holds something that `load_processor` would refuse.
    """
    content = skops_io.dumps(processor, compression=zipfile.ZIP_DEFLATED)
    foreign = _foreign(skops_io.get_untrusted_types(data=content))
    if foreign:
        raise BadInputError(
            f"a processor with {', '.join(foreign)} cannot be stored", remedy="Use plain settings"
        )
    path.write_bytes(content)


def load_processor(path: Path) -> DataProcessor:
    """Read what `save_processor` wrote.

    Raises:
        DamagedError: The file is missing, cut off, or holds a type beyond `TRUSTED_TYPES`; in
            the last case nothing of it has been imported or constructed.
    """
    try:
        foreign = _foreign(skops_io.get_untrusted_types(file=path))
        if foreign:
            raise DamagedError(
                f"it holds types that no processor has: {', '.join(foreign)}",
                where=str(path),
                remedy="Do not use this file; train again",
            )
        loaded = skops_io.load(path, trusted=list(TRUSTED_TYPES))
    except (zipfile.BadZipFile, OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise DamagedError(
            f"it is no stored processor ({error})", where=str(path), remedy="Train again or restore the file"
        ) from error
    if not isinstance(loaded, DataProcessor):
        raise DamagedError(f"it holds a {type(loaded).__name__}, not a DataProcessor", where=str(path))
    return loaded


def _foreign(types: list[str]) -> list[str]:
    return sorted(set(types) - set(TRUSTED_TYPES))
