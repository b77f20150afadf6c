"""The stages that `measure_scale.py` measures, each run in a process of its own."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from audotics.data.corpus import Corpus, build_corpus
from audotics.data.dataset import Dataset
from audotics.data.importing import import_dataset
from audotics.data.queries import QueryBatch
from audotics.domain import Mode, Query
from audotics.features.processor import DataProcessor
from audotics.journal import EventJournal, JournalEvent, open_engine
from audotics.ranking.config import RankingWorld
from audotics.ranking.mean import MeanRanker
from audotics.ranking.protocol import RankingExamples
from audotics.recommender import bundle
from audotics.recommender.batch import BatchProcessor
from audotics.recommender.branch import Branch
from audotics.recommender.candidates import Allowed, CandidateGenerator
from audotics.recommender.ranking_features import FeatureAssembler
from audotics.recommender.recommender import Recommender
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever, retriever_class
from audotics.retrieval.protocol import Retriever
from audotics.simulation import SimulationConfig, simulate
from audotics.telemetry import Progress
from audotics.telemetry.memory import peak_memory_mib, restart_peak
from audotics.training.config import TrainConfig
from audotics.training.fold import Fold
from audotics.training.lists import available_heads, ranking_examples
from audotics.training.preparation import hidden_fold, parted
from audotics.training.rankers import RankerFactory

Figures = dict[str, float | int | str]

JOURNALLED = 50_000
COMMIT = 100
ASKED = 30
BATCH = 256

MEASURED_IN = {"lists": "ranker"}
"""Stages whose figures come from the process of another."""

TAUGHT_BY = 2_000
"""Listeners whose lists teach the ranker here; times are told for as many as training takes by default."""

QUICK_RETRIEVERS = ("popularity", "content")
"""Those that make the lists from which the ranker learns: what it costs depends on the lists alone."""


def run_stage(stage: str, folder: Path) -> dict[str, Figures]:
    """Do one stage on the data of a folder; its figures by name.

    Args:
        stage: ``simulate``, ``assemble``, or a stage of `audotics.distributed.costs` that is not in
            `MEASURED_IN`.
        folder: Holds ``size.json``; stages leave there what later ones need.
    """
    with suppress(AttributeError, OSError):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    works = {
        "simulate": _simulate,
        "journal": _journal,
        "import": _import,
        "corpus": _corpus,
        "features": _features,
        "ranker": _ranker,
        "assemble": _assemble,
        "version": _version,
        "batch": _batch,
    }
    restart_peak()
    before_mib = peak_memory_mib()
    found = works[stage](folder) if stage in works else {stage: _retriever(stage, folder)}
    for figures in found.values():
        peak = figures.pop("peak_mib", peak_memory_mib())
        figures["memory_mib"] = max(0.0, float(peak) - before_mib)
    return found


def timed(work: Callable[[], object]) -> float:
    """Seconds of wall-clock time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bytes_in(folder: Path) -> int:
    """Of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _simulate(folder: Path) -> dict[str, Figures]:
    size = json.loads((folder / "size.json").read_text(encoding="utf-8"))
    config = SimulationConfig(
        n_users=size["n_listeners"],
        n_tracks=size["n_tracks"],
        n_days=size["n_days"],
        n_events=size["n_events"],
        seed=1,
    )
    seconds = timed(lambda: simulate(config, folder / "dataset"))
    events = pl.scan_parquet(sorted((folder / "dataset" / "events").glob("*.parquet")))
    events.sink_parquet(folder / "events.parquet")
    return {"simulate": {"seconds": seconds}}


def _journal(folder: Path) -> dict[str, Figures]:
    rows = Dataset.open(folder / "dataset").events().head(JOURNALLED).collect()
    at = rows["timestamp"].dt.epoch("us").to_list()
    events = [
        JournalEvent(f"event-{number}", user, track, when)
        for number, (user, track, when) in enumerate(zip(rows["user_id"], rows["track_id"], at, strict=True))
    ]
    engine = open_engine(f"sqlite:///{folder / 'journal.db'}")
    journal = EventJournal(engine)

    def append() -> None:
        for start in range(0, len(events), COMMIT):
            journal.append(events[start : start + COMMIT])

    seconds = timed(append)
    engine.dispose()
    stored = sum(path.stat().st_size for path in folder.glob("journal.db*"))
    # As many events at every size: more of them would only take longer.
    return {"journal": {"seconds": seconds, "stored_bytes": stored, "n_events": len(events)}}


def _import(folder: Path) -> dict[str, Figures]:
    out = folder / "imported"
    seconds = timed(
        lambda: import_dataset(
            folder / "events.parquet", out=out, tracks=folder / "dataset" / "tracks.parquet"
        )
    )
    return {"import": {"seconds": seconds, "stored_bytes": bytes_in(out)}}


def _read_corpus(folder: Path) -> Corpus:
    dataset = Dataset.open(folder / "dataset")
    return build_corpus(dataset.events().collect(), dataset.tracks(), dataset.users())


def _corpus(folder: Path) -> dict[str, Figures]:
    return {"corpus": {"seconds": timed(lambda: _read_corpus(folder))}}


def _features(folder: Path) -> dict[str, Figures]:
    tracks = Dataset.open(folder / "dataset").tracks()
    return {"features": {"seconds": timed(lambda: DataProcessor().fit_transform(tracks))}}


def _retriever(name: str, folder: Path) -> Figures:
    corpus = _read_corpus(folder)
    if not retriever_class(name).applies_to(corpus):
        return {"outcome": "failed", "note": "the simulated data has nothing for it"}
    retriever = new_retriever(name, {})
    seconds = timed(lambda: retriever.fit(corpus))
    stored = folder / "retrievers" / name
    stored.mkdir(parents=True)
    for key, array in retriever.arrays().items():
        np.save(stored / f"{key}.npy", array, allow_pickle=False)
    chosen = np.random.default_rng(0).permutation(corpus.n_users)[:ASKED].astype(np.int32)
    batches = [QueryBatch.of_listeners(corpus.interactions, chosen[n : n + 1]) for n in range(len(chosen))]
    answers = [timed(lambda batch=batch: retriever.compact_scores(batch)) for batch in batches]
    return {"seconds": seconds, "stored_bytes": bytes_in(stored), "answer_s": median(answers)}


def _ranker(folder: Path) -> dict[str, Figures]:
    config = TrainConfig(hide_from=TAUGHT_BY, rankers=("deep",))
    whole = TrainConfig().hide_from / TAUGHT_BY
    progress = Progress()
    with progress.stage("before"):
        fold = hidden_fold(Dataset.open(folder / "dataset"), config)
        roles = parted(fold, config)
        retrievers = [new_retriever(name, {}).fit(fold.visible) for name in QUICK_RETRIEVERS]
        generator = CandidateGenerator(retrievers, config.per_retriever)
    with progress.stage("lists"):
        assembler = _assembler(roles.teach, generator)
        heads = available_heads(roles.teach.hidden)
        teach, stop, _, judge = (ranking_examples(one, generator, assembler, heads) for one in roles)
    content = np.asarray(DataProcessor().fit_transform(fold.corpus.track_table), np.float32)
    world = RankingWorld(fold.corpus.n_users, content, fold.visible.interactions)
    deep = RankerFactory(config, world).new("deep")
    with progress.stage("ranker"):
        deep.fit(teach, stop)
    _, lists, fitted = progress.records
    stored = folder / "ranker"
    stored.mkdir()
    deep.save(stored)
    loaded = type(deep).load(stored)
    singles = [judge.inputs.take(np.array([row], np.int32)) for row in range(min(ASKED, len(judge.labels)))]
    loaded.score(singles[0])
    return {
        "lists": {"seconds": whole * lists.seconds, "peak_mib": lists.peak_memory_mib},
        "ranker": {
            "seconds": whole * fitted.seconds,
            "peak_mib": fitted.peak_memory_mib,
            "stored_bytes": bytes_in(stored),
            "answer_s": median([timed(lambda one=one: loaded.score(one)) for one in singles]),
        },
    }


def _assembler(teaching: Fold, generator: CandidateGenerator) -> FeatureAssembler:
    assembler = FeatureAssembler.fit(teaching.visible, tuple(one.name for one in generator.retrievers))
    few = teaching.take(np.arange(min(200, teaching.batch.size), dtype=np.int32))
    return assembler.scaled(ranking_examples(few, generator, assembler, ("play",)).inputs)


def _fitted_retrievers(folder: Path) -> list[Retriever]:
    found = []
    for name in RETRIEVER_NAMES:
        stored = folder / "retrievers" / name
        if name != "favourites" and stored.is_dir():
            arrays = {path.stem: np.load(path, mmap_mode="r") for path in stored.glob("*.npy")}
            config = new_retriever(name, {}).config.model_dump()
            found.append(retriever_class(name).from_arrays(config, arrays))
    return found


def _recommender(folder: Path, corpus: Corpus) -> Recommender:
    generator = CandidateGenerator(_fitted_retrievers(folder), 200)
    few = QueryBatch.of_listeners(corpus.interactions, np.arange(min(64, corpus.n_users), dtype=np.int32))
    assembler = FeatureAssembler.fit(corpus, tuple(one.name for one in generator.retrievers))
    inputs = assembler.assemble(few, generator.generate(few, Allowed.everything_unheard(few.size)))
    assembler = assembler.scaled(inputs)
    examples = RankingExamples(inputs, np.zeros((*inputs.track_index.shape, 1), np.float32), ("play",))
    branch = Branch(generator, assembler, MeanRanker().fit(examples, examples))
    return Recommender(
        users=corpus.users,
        tracks=corpus.tracks,
        histories=corpus.interactions,
        track_table=corpus.track_table,
        unheard=branch,
    )


def _assemble(folder: Path) -> dict[str, Figures]:
    # By itself: learning the version must not count into the memory of serving it.
    stored = folder / "version"
    stored.mkdir()
    seconds = timed(lambda: bundle.save(_recommender(folder, _read_corpus(folder)), stored))
    return {"assemble": {"seconds": seconds}}


def _version(folder: Path) -> dict[str, Figures]:
    stored = folder / "version"
    started = time.perf_counter()
    recommender = bundle.load(stored)
    _answer(recommender, 0)
    seconds = time.perf_counter() - started
    listeners = np.random.default_rng(0).permutation(len(recommender.users))[:ASKED].tolist()
    answer_s = median([timed(lambda row=row: _answer(recommender, row)) for row in listeners])
    return {"version": {"seconds": seconds, "stored_bytes": bytes_in(stored), "answer_s": answer_s}}


def _answer(recommender: Recommender, row: int) -> None:
    recommender.recommend([Query(user_id=recommender.users.ids[row], k=20)])


def _batch(folder: Path) -> dict[str, Figures]:
    recommender = bundle.load(folder / "version")
    names = list(recommender.users.ids[: min(BATCH, len(recommender.users))])
    processor = BatchProcessor(recommender, n_threads=1)
    processor.table(names[:8], 100, Mode.DISCOVER)
    seconds = timed(lambda: processor.table(names, 100, Mode.DISCOVER))
    return {"batch": {"seconds": seconds, "answer_s": seconds / len(names)}}
