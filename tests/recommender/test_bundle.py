from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from audotics.data.corpus import Corpus
from audotics.data.vocabulary import Vocabulary
from audotics.domain import Query
from audotics.errors import DamagedError
from audotics.recommender import bundle
from audotics.recommender.recommender import Recommender


@pytest.fixture(scope="module")
def saved(recommender: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    bundle.save(recommender, folder)
    return folder


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_what_is_loaded_answers_like_what_was_saved(
    planted: Corpus, recommender: Recommender, saved: Path
) -> None:
    again = bundle.load(saved, "v1")
    assert again.model_version == "v1"
    queries = [Query(user_id=user_id, k=7) for user_id in planted.users.ids]
    queries.append(Query(history=("t003", "t005"), k=7))
    for before, after in zip(recommender.recommend(queries), again.recommend(queries), strict=True):
        assert before.track_ids == after.track_ids
        assert before.reasons == after.reasons
        np.testing.assert_array_equal(before.scores, after.scores)


def test_arrays_are_memory_mapped(saved: Path) -> None:
    again = bundle.load(saved)
    for retriever in again.retrievers:
        assert any(isinstance(values.base, np.memmap) for values in retriever.arrays().values())


def test_only_plain_formats_are_stored(saved: Path) -> None:
    endings = {path.suffix for path in saved.rglob("*") if path.is_file()}
    assert endings <= {".npy", ".json", ".parquet"}
    for path in saved.rglob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype != object


def test_the_fallback_lists_the_most_played(planted: Corpus, saved: Path) -> None:
    popular = json.loads((saved / "fallback" / "popular.json").read_text())
    counts = np.bincount(planted.interactions.track_index, minlength=planted.n_tracks)
    listed = [counts[planted.tracks.index(track)] for track in popular]
    assert listed == sorted(counts.tolist(), reverse=True)[: len(listed)]


@pytest.mark.parametrize("name", ["users", "tracks"])
def test_a_vocabulary_of_another_training_is_refused(copy: Path, name: str) -> None:
    path = copy / "vocabulary" / f"{name}.json"
    ids = json.loads(path.read_text())
    path.write_text(json.dumps([*ids[1:], ids[0]]))
    with pytest.raises(DamagedError, match="another training"):
        bundle.load(copy)


NEEDED = (
    "recommender.json",
    "tracks.parquet",
    "vocabulary/tracks.json",
    "histories/plays.npy",
    "features/scaling/scaling.npy",
    "retrieval/ials/config.json",
    "ranker",
)


@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_part_is_reported_as_damage(copy: Path, name: str) -> None:
    path = copy / name
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    with pytest.raises(DamagedError):
        bundle.load(copy)


def test_the_hash_depends_on_both_vocabularies_and_their_order() -> None:
    a, b = Vocabulary(["x", "y"]), Vocabulary(["y", "x"])
    hashes = {bundle.vocabulary_hash(*pair) for pair in [(a, a), (a, b), (b, a), (b, b)]}
    assert len(hashes) == 4
