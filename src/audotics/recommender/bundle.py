"""Saving a Recommender as plain files and loading it back: arrays, JSON and Parquet, never code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from audotics.data.interactions import Interactions
from audotics.data.vocabulary import Vocabulary
from audotics.errors import DamagedError
from audotics.ranking.batches import Runtime
from audotics.ranking.heads import HeadModel
from audotics.ranking.names import ranker_class
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import CandidateGenerator
from audotics.recommender.new_tracks import NewTracks
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import retriever_class
from audotics.retrieval.protocol import Retriever
from audotics.retrieval.stand_ins import StandIns

HEARD = "heard"
"""Folder of what the branch for heard tracks has of its own."""

NEW = "new"
"""Folder of what a branch has for tracks that nobody has played."""

N_FALLBACK = 1000
"""How many popular tracks stand in the fallback list."""


def save(recommender: Recommender, folder: Path) -> None:
    """Write a fitted recommender into an existing empty folder (the layout of a version)."""
    _write_json(folder / "vocabulary" / "users.json", list(recommender.users.ids))
    _write_json(folder / "vocabulary" / "tracks.json", list(recommender.tracks.ids))
    recommender.track_table.write_parquet(folder / "tracks.parquet", compression="zstd")
    histories = recommender.histories
    _write_arrays(
        folder / "histories",
        {name: getattr(histories, name) for name in ("indptr", "track_index", "plays", "last_at")},
    )
    for retriever in recommender.retrievers:
        _write_arrays(folder / "retrieval" / retriever.name, retriever.arrays())
        _write_json(
            folder / "retrieval" / retriever.name / "config.json", retriever.config.model_dump(mode="json")
        )
    _write_json(folder / "fallback" / "popular.json", _popular(recommender))
    heard = recommender.heard
    _write_json(
        folder / "recommender.json",
        {
            "unheard": _save_branch(recommender.unheard, folder),
            "heard": None if heard is None else _save_branch(heard, folder / HEARD),
            "ordered": histories.ordered,
            "vocabulary": vocabulary_hash(recommender.users, recommender.tracks),
        },
    )


def _save_branch(branch: Branch, folder: Path) -> dict[str, Any]:
    """Write what a branch has of its own; returns its settings."""
    for part, arrays in branch.assembler.arrays().items():
        _write_arrays(folder / "features" / part, arrays)
    (folder / "ranker").mkdir(parents=True)
    branch.ranker.save(folder / "ranker")
    if branch.heads is not None:
        (folder / "heads").mkdir()
        branch.heads.save(folder / "heads")
    if branch.new is not None:
        _write_arrays(folder / NEW / "stand_ins", branch.new.stand_ins.arrays())
        (folder / NEW / "ranker").mkdir()
        branch.new.ranker.save(folder / NEW / "ranker")
    return {
        "retrievers": [retriever.name for retriever in branch.generator.retrievers],
        "per_retriever": branch.generator.per_retriever,
        "ranker": branch.ranker.name,
        "heads": branch.heads is not None,
        "level": list(branch.level),
        "new": None if branch.new is None else _new_settings(branch.new),
    }


def _new_settings(new: NewTracks) -> dict[str, Any]:
    return {"ranker": new.ranker.name, "level": list(new.level)}


def load(folder: Path, model_version: str = "", runtime: Runtime | None = None) -> Recommender:
    """Read what `save` wrote; arrays are memory-mapped.

    Verify the version's checksums first (`Registry.verify`): this only checks that the parts fit together.

    Args:
        folder: Of the version.
        model_version: Its id.
        runtime: What scores with the deep rankers; LiteRT in process if None.

    Raises:
        DamagedError: A part is missing or belongs to another training.
    """
    try:
        return _load(folder, model_version, runtime)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"the model cannot be read ({error})", where=str(folder), remedy="Train again, or roll back"
        ) from error


def vocabulary_hash(users: Vocabulary, tracks: Vocabulary) -> str:
    """One hash that says which listeners and tracks every index of a version means."""
    return f"{users.fingerprint[:32]}{tracks.fingerprint[:32]}"


def _load(folder: Path, model_version: str, runtime: Runtime | None) -> Recommender:
    settings = _read_json(folder / "recommender.json")
    users = Vocabulary(_read_json(folder / "vocabulary" / "users.json"))
    tracks = Vocabulary(_read_json(folder / "vocabulary" / "tracks.json"))
    if settings["vocabulary"] != vocabulary_hash(users, tracks):
        raise DamagedError("the vocabulary belongs to another training", where=str(folder))
    names = dict.fromkeys((settings["heard"] or settings["unheard"])["retrievers"])
    retrievers = {name: _load_retriever(folder / "retrieval" / name, name) for name in names}
    heard, n_tracks = settings["heard"], len(tracks)
    return Recommender(
        users=users,
        tracks=tracks,
        histories=Interactions(
            **_read_arrays(folder / "histories"), n_tracks=n_tracks, ordered=settings["ordered"]
        ),
        track_table=pl.read_parquet(folder / "tracks.parquet"),
        unheard=_load_branch(settings["unheard"], retrievers, folder, n_tracks, runtime),
        heard=None if heard is None else _load_branch(heard, retrievers, folder / HEARD, n_tracks, runtime),
        model_version=model_version,
    )


def _load_branch(
    settings: Mapping[str, Any],
    retrievers: Mapping[str, Retriever],
    folder: Path,
    n_tracks: int,
    runtime: Runtime | None,
) -> Branch:
    names = tuple(settings["retrievers"])
    parts = {
        path.name: _read_arrays(path) for path in sorted((folder / "features").iterdir()) if path.is_dir()
    }
    return Branch(
        generator=CandidateGenerator([retrievers[name] for name in names], settings["per_retriever"]),
        assembler=FeatureAssembler.from_arrays(names, parts),
        ranker=ranker_class(settings["ranker"]).load(folder / "ranker", runtime),
        heads=HeadModel.load(folder / "heads") if settings["heads"] else None,
        level=_level(settings),
        new=_load_new(settings["new"], folder / NEW, n_tracks, runtime) if settings.get("new") else None,
    )


def _load_new(settings: Mapping[str, Any], folder: Path, n_tracks: int, runtime: Runtime | None) -> NewTracks:
    return NewTracks(
        StandIns.from_arrays(_read_arrays(folder / "stand_ins"), n_tracks),
        ranker_class(settings["ranker"]).load(folder / "ranker", runtime),
        _level(settings),
    )


def _level(settings: Mapping[str, Any]) -> tuple[float, float]:
    slope, intercept = settings["level"]
    return float(slope), float(intercept)


def _load_retriever(folder: Path, name: str) -> Retriever:
    return retriever_class(name).from_arrays(_read_json(folder / "config.json"), _read_arrays(folder))


def _popular(recommender: Recommender) -> list[str]:
    histories = recommender.histories
    listeners = np.bincount(histories.track_index, minlength=histories.n_tracks)
    best = np.argsort(-listeners, kind="stable")[:N_FALLBACK]
    return [recommender.tracks.ids[track] for track in best.tolist()]


def _write_arrays(folder: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    folder.mkdir(parents=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values, allow_pickle=False)


def _read_arrays(folder: Path) -> dict[str, npt.NDArray[Any]]:
    # A memory map asks on every access whether it is one still; a plain array shares its memory.
    return {
        path.stem: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        for path in sorted(folder.glob("*.npy"))
    }


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
