"""What people may write down as an experiment, and in which words the rest is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from audotics.errors import BadInputError
from audotics.experiments.arms import arms_of, variant_label
from audotics.experiments.definition import Definition, Experiment, Kind, Role

ARMS = [{"name": "control", "share": 5000}, {"name": "new", "share": 5000, "model": "challenger"}]


def parse(**fields: Any) -> Definition:
    return Definition.parse({"name": "ranker", "arms": ARMS, **fields})


def test_what_is_not_said_has_a_sensible_value() -> None:
    plain = parse()
    assert plain.kind is Kind.AB
    assert plain.control_arm.name == "control"
    assert [arm.name for arm in plain.treatments] == ["new"]
    assert plain.hash_salt == "ranker"
    assert plain.slots == (0, 10_000)
    assert plain.metrics[0].role is Role.PRIMARY


def test_another_arm_can_be_the_control_and_another_salt_deal_out() -> None:
    chosen = parse(control="new", salt="again")
    assert chosen.control_arm.name == "new"
    assert chosen.hash_salt == "again"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": "a b"}, "name: String should match"),
    ({"name": "a,b"}, "name: String should match"),
    ({"arms": ARMS[:1]}, "two arms at least"),
    ({"arms": [ARMS[0], ARMS[0]]}, "same name"),
    ({"arms": [ARMS[0], {**ARMS[1], "share": 5001}]}, "exceed 10000"),
    ({"arms": [ARMS[0], {**ARMS[1], "share": 0.5}]}, "arms.1.share: Input should be a valid integer"),
    ({"arms": [ARMS[0], {**ARMS[1], "rules": {"explor": 1}}]}, "rule explor: there is no such setting"),
    ({"arms": [ARMS[0], {**ARMS[1], "weights": {"plays": 1}}]}, "there is no head 'plays'"),
    ({"arms": [ARMS[0], {**ARMS[1], "weights": {"play": float("nan")}}]}, "finite number"),
    ({"arms": [ARMS[0], {**ARMS[1], "surface": "car"}]}, "there is no surface 'car'"),
    ({"arms": [ARMS[0], {**ARMS[1], "model": "../champion"}]}, "arms.1.model: String should match"),
    ({"control": "old"}, "there is no arm 'old' to be the control; arms are control, new"),
    ({"slots": (10, 10)}, "the part of the layer is empty"),
    ({"slots": (0, 10_001)}, "slots.1: Input should be less than or equal to 10000"),
    ({"overrides": {"anna": "old"}}, "an override names the arm 'old'"),
    ({"overrides": {"anna": "interleaved"}}, "an override names the arm 'interleaved'"),
    ({"metrics": [{"name": "skip"}, {"name": "skip"}]}, "a metric is named twice"),
    ({"metrics": [{"name": "skips"}]}, "metrics.0.name"),
    ({"layers": "x"}, "layers: Extra inputs are not permitted. Fields are name, description"),
    ({"kind": "interleaving", "arms": [*ARMS, {"name": "third", "share": 0}]}, "compares two arms"),
    ({"kind": "interleaving", "arms": [ARMS[0], {"name": "interleaved", "share": 1}]}, "cannot be called"),
    (
        {"kind": "interleaving", "arms": [ARMS[0], {**ARMS[1], "rules": {"explore": 0.1}}]},
        "their draws would be credited",
    ),
    ({"kind": "bandit"}, "needs an arm whose rules explore"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInputError) as refused:
        parse(**fields)
    assert words in str(refused.value)


def test_a_bandit_needs_one_arm_that_explores() -> None:
    bandit = parse(kind="bandit", arms=[{"name": "epsilon", "share": 10_000, "rules": {"explore": 0.1}}])
    assert bandit.arms[0].explores
    assert not bandit.treatments


def test_files_in_both_languages(tmp_path: Path) -> None:
    values = {"name": "ranker", "arms": ARMS, "targeting": {"new_since": "2026-03-01T00:00:00"}}
    as_json, as_toml = tmp_path / "e.json", tmp_path / "e.toml"
    as_json.write_text(json.dumps(values))
    as_toml.write_text(
        'name = "ranker"\n'
        "[targeting]\nnew_since = 2026-03-01T00:00:00\n"
        '[[arms]]\nname = "control"\nshare = 5000\n'
        '[[arms]]\nname = "new"\nshare = 5000\nmodel = "challenger"\n'
    )
    assert Definition.read(as_json) == Definition.read(as_toml)
    assert Definition.read(as_toml).targeting.new_since == datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}'])
def test_files_that_hold_no_experiment(tmp_path: Path, text: str) -> None:
    file = tmp_path / "e.json"
    file.write_text(text)
    with pytest.raises(BadInputError, match=r"e\.json"):
        Definition.read(file)
    with pytest.raises(BadInputError, match="cannot be read"):
        Definition.read(tmp_path / "none.toml")


def test_an_experiment_is_read_back_as_it_was_written() -> None:
    experiment = Experiment.model_validate(
        {**parse().model_dump(), "created_at": "2026-03-01T00:00:00+01:00"}
    )
    assert experiment.created_at == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert Experiment.model_validate_json(experiment.model_dump_json()) == experiment


def test_labels_of_answers() -> None:
    label = variant_label([("rules", "new"), ("model", "control")])
    assert label == "model:control,rules:new"
    assert arms_of(label) == {"model": "control", "rules": "new"}
    assert arms_of("") == arms_of("holdout") == {}
