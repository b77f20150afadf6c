"""Small corpora for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
import pytest

from audotics.data import schema
from audotics.data.corpus import Corpus, build_corpus
from audotics.evaluation import EvaluationReport, ModelEvaluator, Task, head_metrics
from audotics.evaluation.newcomers import NewcomerResult, newcomer_reports
from audotics.evaluation.plots import Plot, report_plots
from audotics.evaluation.report import Newcomer

MakeCorpus = Callable[..., Corpus]
HOSTILE_NAME = "<script>alert('v1')</script> $x_$ & [bold]"


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    def make(
        pairs: Sequence[tuple[str, str]],
        *,
        catalogue: dict[str, list] | None = None,
        plays: Sequence[float] | None = None,
        kinds: Sequence[str] | None = None,
    ) -> Corpus:
        """Training events from (user_id, track_id) pairs, with a catalogue of the given columns."""
        events = pl.DataFrame(
            {
                "user_id": [user for user, _ in pairs],
                "track_id": [track for _, track in pairs],
                "event": list(kinds) if kinds else ["play"] * len(pairs),
                "plays": [1.0] * len(pairs) if plays is None else list(plays),
            }
        )
        return build_corpus(
            _complete(events, schema.EVENTS),
            _complete(pl.DataFrame(catalogue or {"track_id": []}), schema.TRACKS),
            pl.DataFrame(schema=schema.USERS),
        )

    return make


def _complete(table: pl.DataFrame, columns: dict) -> pl.DataFrame:
    return table.select(
        (pl.col(name) if name in table.columns else pl.lit(None)).cast(kind).alias(name)
        for name, kind in columns.items()
    )


@pytest.fixture(scope="session")
def hostile_name() -> str:
    """The name of the reference system of `full_report`."""
    return HOSTILE_NAME


@pytest.fixture(scope="session")
def full_plots(full_report: EvaluationReport) -> tuple[Plot, ...]:
    """The pictures of `full_report`, drawn once for all tests."""
    return report_plots(full_report)


@pytest.fixture
def small_corpus(make_corpus: MakeCorpus) -> Corpus:
    """Three listeners; ``new`` stands in the catalogue alone. Track indices: a b c d new = 0 1 2 3 4."""
    return make_corpus(
        [("ann", "a"), ("ann", "b"), ("bob", "a"), ("cyd", "a"), ("cyd", "b"), ("cyd", "c"), ("cyd", "d")],
        catalogue={"track_id": ["a", "b", "c", "d", "new"], "artist_id": ["X", "X", "Y", "Z", "Y"]},
    )


@pytest.fixture(scope="session")
def full_report(make_corpus: MakeCorpus) -> EvaluationReport:
    """Three systems (one with a hostile name), every segment, heads and learning curves."""
    rng = np.random.default_rng(0)
    tracks = [f"t{n:02}" for n in range(30)]
    pairs = [
        (f"u{n:02}", t) for n in range(40) for t in rng.choice(tracks, rng.integers(3, 12), replace=False)
    ]
    corpus = make_corpus(
        pairs, catalogue={"track_id": [*tracks, "new"], "artist_id": ["X", "Y"] * 15 + ["X"]}
    )
    test = pl.DataFrame(
        {
            "user_id": [f"u{n:02}" for n in range(45) for _ in range(3)],
            "track_id": rng.choice([*tracks, "new", "elsewhere"], 135),
        }
    )
    evaluator = ModelEvaluator(corpus, test, task=Task.MIX, cutoffs=(5, 10), n_resamples=100)
    n = len(evaluator.user_ids)
    lists = [np.argsort(rng.random((n, corpus.n_tracks)), axis=1)[:, :10].astype(np.int32) for _ in range(3)]
    named = dict(zip((HOSTILE_NAME, "popularity", "[red]noise"), lists, strict=True))
    p = rng.random(300)
    heads = {"play": head_metrics(p, rng.random(300) < p), "skip": head_metrics(p / 3, rng.random(300) < p)}
    return evaluator.report(
        [
            evaluator.evaluate(HOSTILE_NAME, lists[0], seconds=1.25, heads=heads),
            evaluator.evaluate("popularity", lists[1]),
            evaluator.evaluate("[red]noise", lists[2]),
        ],
        learning_curves={
            "train loss": [3.0, 2.0],
            "validation loss": [3.2, 2.4],
            "validation ndcg@10": [0.1, 0.2],
        },
        newcomers=newcomer_reports(
            [
                NewcomerResult.of(
                    newcomer,
                    evaluator.test.holdout,
                    {name: given[:, ::-1] for name, given in named.items()},
                    cutoff=10,
                )
                for newcomer in Newcomer
            ],
            HOSTILE_NAME,
            "popularity",
            n_resamples=50,
        ),
    )
