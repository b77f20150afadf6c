"""A floor under the quality on real data, for `make test-all` where the data lies beside the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from audotics.data.heldout import read_held_out
from audotics.data.importing import import_dataset
from audotics.evaluation.report import Task
from audotics.telemetry import Progress
from audotics.training.assessment import assess
from audotics.training.config import TrainConfig
from audotics.training.pipeline import TrainingPipeline

HETREC = Path(__file__).parents[3] / "shared" / "data" / "hetrec-lastfm-2k"


@pytest.mark.slow
@pytest.mark.skipif(not HETREC.is_dir(), reason="the hetrec-lastfm-2k files are not beside the project")
def test_hetrec_stays_above_the_best_single_method(tmp_path: Path) -> None:
    split = HETREC / "split"
    report = import_dataset(HETREC, "hetrec-lastfm", tmp_path / "hetrec", events=split / "train.tsv.gz")
    config = TrainConfig(rankers=("single", "mean", "linear"), tune_trials=1)
    trained = TrainingPipeline(config).train(report.dataset)
    found = assess(
        trained.recommender,
        report.dataset,
        read_held_out(split / "test.tsv.gz"),
        baselines=True,
        task=Task.DISCOVER,
        progress=Progress(),
    )
    ndcg = {system.name: system.metrics["ndcg@20"].mean for system in found.systems}
    assert ndcg["audotics"] > 0.285
    assert ndcg["audotics"] > max(value for name, value in ndcg.items() if name != "audotics")
    # More than this is a sign that tags of held-out artists leak (they are left out by the import).
    assert ndcg["audotics"] < 0.32
