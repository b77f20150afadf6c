"""The datasets that retraining made, kept beside the versions that learned from them.

models/
  data/<first 16 digits of the fingerprint>/        a Dataset
  data/<first 16 digits of the fingerprint>.json    its `DataRecord`
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt

from audotics.data.dataset import Dataset
from audotics.data.writer import DatasetWriter
from audotics.errors import BadInputError
from audotics.registry.durable import flush_folder, make_folder, replace_text
from audotics.registry.reading import read_record

SCHEMA_VERSION = 1
MAX_RECORD_BYTES = 1 << 20

_BUILDING = "building"
_DIGITS = 16


class DataRecord(BaseModel):
    """Where a dataset of ours comes from, and up to where it knows the journal.

    Args:
        schema_version: Of this record.
        fingerprint: Of the dataset.
        base: Fingerprint of the dataset that it goes on from.
        journal_seq: Events of the journal up to this place are in it; later ones are not.
        n_new: Events that it has from the journal and its base has not.
        n_repeated: Events of the journal that were there already.
        n_erased: Events of its base that are gone because their listeners wanted to be forgotten.
        n_tracks_put: Tracks that were put into the journal, by which the catalogue grew or was mended.
        created_at: When it was made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    base: str
    journal_seq: NonNegativeInt
    n_new: NonNegativeInt
    n_repeated: NonNegativeInt
    n_erased: NonNegativeInt
    n_tracks_put: NonNegativeInt
    created_at: AwareDatetime


class DataFolders:
    """Finds, takes in and removes the datasets of a models folder.

    A dataset appears whole or not at all, and counts from the moment its record is there. One process at a
    time may write (`audotics.lifecycle.lease`).

    Args:
        models_dir: Where the versions lie.
    """

    def __init__(self, models_dir: Path) -> None:
        self._folder = models_dir / "data"

    def find(self, fingerprint: str) -> tuple[Dataset, DataRecord] | None:
        """The dataset with this fingerprint, verified, and its record; None where we have none.

        Raises:
            DamagedError: It is there and not as it was written.
        """
        record = self.record_of(fingerprint)
        return None if record is None else (Dataset.open(self._folder / fingerprint[:_DIGITS]), record)

    def record_of(self, fingerprint: str) -> DataRecord | None:
        """The record of the dataset with this fingerprint, its files unchecked; None where we have none.

        Raises:
            DamagedError: The record cannot be read.
        """
        path = self._folder / fingerprint[:_DIGITS]
        record_path = path.with_suffix(".json")
        if not (path.is_dir() and record_path.is_file()):
            return None
        record = self._read(record_path)
        return record if record.fingerprint == fingerprint else None

    def writer(self, source: str) -> DatasetWriter:
        """Writes a dataset that `take_in` keeps; what a killed process left of its own is removed.

        Args:
            source: What it is made from, for people.
        """
        return DatasetWriter(self._folder / _BUILDING, source=source)

    def take_in(self, built: Dataset, record: DataRecord) -> Dataset:
        """Give what `writer` committed its name, and keep its record beside it."""
        name = record.fingerprint[:_DIGITS]
        path = self._folder / name
        if path.exists():  # the same data was built before
            shutil.rmtree(built.path)
        else:
            built.path.rename(path)
            flush_folder(self._folder)
        replace_text(path.with_suffix(".json"), record.model_dump_json(indent=2) + "\n")
        return Dataset(path, built.manifest)

    def prune(self, keep: Collection[str], newest: int = 2) -> list[str]:
        """Remove datasets, and what a killed process left; returns the fingerprints that went.

        Args:
            keep: Fingerprints that stay: those of versions that may be the base of the next retraining.
            newest: How many of the youngest stay beside them.
        """
        if not self._folder.is_dir():
            return []
        records = sorted(self._records(), key=lambda record: record.created_at)
        young = {record.fingerprint for record in records[max(0, len(records) - newest) :]}
        gone = [record.fingerprint for record in records if record.fingerprint not in young | set(keep)]
        for fingerprint in gone:  # the record first: a dataset without one does not count
            (self._folder / f"{fingerprint[:_DIGITS]}.json").unlink()
        known = {record.fingerprint[:_DIGITS] for record in records} - {name[:_DIGITS] for name in gone}
        for path in self._folder.iterdir():
            if path.is_dir() and path.name not in known:
                shutil.rmtree(path)
            elif path.name.startswith("."):  # a record that was being written
                path.unlink()
        return gone

    def _records(self) -> list[DataRecord]:
        make_folder(self._folder)
        return [self._read(path) for path in self._folder.glob("*.json")]

    @staticmethod
    def _read(path: Path) -> DataRecord:
        return read_record(
            path,
            DataRecord,
            newest=SCHEMA_VERSION,
            max_bytes=MAX_RECORD_BYTES,
            remedy="Remove it and its folder, and give the dataset with --data",
        )


def base_dataset(
    folders: DataFolders, fingerprint: str, given: Path | None, champion: str
) -> tuple[Dataset, int]:
    """What retraining goes on from: the champion's own dataset where we have it, else the one given.

    Args:
        folders: Datasets of earlier retrainings.
        fingerprint: Of the data that the champion was trained on.
        given: A Dataset to go on from where there is no such dataset.
        champion: Id of the champion, for messages.

    Returns:
        The dataset, and up to which place in the journal it knows all events. For one that was given that is
        0: everything in the journal is read, and events that it has already count once.

    Raises:
        BadInputError: There is neither.
        DamagedError: It is not as it was written.
    """
    found = folders.find(fingerprint)
    if found is not None:
        return found[0], found[1].journal_seq
    if given is None:
        raise BadInputError(
            f"the data that {champion} was trained on (fingerprint {fingerprint[:12]}) is not kept here",
            where=str(folders._folder),
            remedy="Give the dataset to go on from with --data",
        )
    return Dataset.open(given), 0
