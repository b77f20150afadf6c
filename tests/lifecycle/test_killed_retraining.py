"""kill -9 at any moment of a retraining costs the step that it hit, and nothing else."""

import json
import shutil
from pathlib import Path

import pytest

from audotics.data.dataset import Dataset
from audotics.journal.engine import open_engine
from audotics.journal.events import EventJournal
from audotics.registry.names import CHAMPION
from audotics.registry.store import Registry
from contract.aging import events_of, publish_first, write_days
from contract.kills import FIRST_NEW_DAY, kill_retrainings


@pytest.mark.parametrize("n_kills", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_again_and_again(tmp_path: Path, n_kills: int):
    base = write_days(tmp_path / "base", 0, FIRST_NEW_DAY)
    first = publish_first(base, tmp_path / "models")

    kills = kill_retrainings(tmp_path, n_kills, seed=n_kills)

    assert kills.errors == []
    assert kills.hit.total() == n_kills
    assert kills.ended["promoted"] >= 1
    assert kills.n_loads > n_kills
    registry = Registry(tmp_path / "models")
    champion = registry.show(CHAMPION)
    assert champion.version != first
    data = Dataset.open(tmp_path / "models" / "data" / champion.dataset.fingerprint[:16])
    record = json.loads(data.path.with_suffix(".json").read_text())
    engine = open_engine(f"sqlite:///{tmp_path / 'journal.db'}", timeout_s=10)
    assert record["journal_seq"] <= EventJournal(engine).last_seq()
    n_later = EventJournal(engine).count_after(record["journal_seq"])
    n_posted = EventJournal(engine).count_after(0)
    assert data.manifest.rows["events"] == events_of(0, FIRST_NEW_DAY).height + n_posted - n_later
    shutil.rmtree(data.path)
