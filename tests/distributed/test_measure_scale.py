"""The script that measures costs runs, and writes what the plan reads."""

from __future__ import annotations

import sys

import pytest

from audotics.distributed.costs import STAGES, MeasuredCosts
from contract.deployment import ROOT, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]

SCRIPT = str(ROOT / "scripts" / "measure_scale.py")


def test_every_stage_is_measured_and_told(tmp_path):
    pytest.importorskip("tensorflow")
    files = [str(tmp_path / name) for name in ("costs.json", "scale.png")]
    done = run(
        sys.executable,
        SCRIPT,
        "--sizes",
        "0.01,0.05",
        "--timeout",
        "300",
        "--json",
        files[0],
        "--png",
        files[1],
    )
    assert done.returncode == 0, done.stderr
    found = MeasuredCosts.model_validate_json((tmp_path / "costs.json").read_bytes())
    assert set(found.stages) == set(STAGES)
    for stage, points in found.stages.items():
        assert points[-1].outcome == "done", f"{stage}: {points[-1].note}"
        assert points[-1].memory_mib > 0, stage
        assert f"| {stage} | " in done.stdout
    assert (tmp_path / "scale.png").stat().st_size > 10_000


def test_a_stage_that_is_not_done_in_time_is_told_and_not_tried_again(tmp_path):
    costs = tmp_path / "costs.json"
    done = run(sys.executable, SCRIPT, "--sizes", "0.01,0.02", "--timeout", "0.01", "--json", str(costs))
    assert done.returncode == 0, done.stderr
    found = MeasuredCosts.model_validate_json(costs.read_bytes())
    measured = [points for points in found.stages.values() if points]
    assert {point.outcome for points in measured for point in points} == {"timeout"}
    assert {len(points) for points in measured} == {1}
    assert "not tried" in done.stdout
