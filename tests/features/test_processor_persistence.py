"""Stored processors: equal after a round trip, refused when tampered with."""

import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import StandardScaler
from skops import io as skops_io

from audotics.errors import BadInputError, DamagedError
from audotics.features.persistence import load_processor, save_processor
from audotics.features.processor import DataProcessor

TABLE = pl.DataFrame(
    {
        "feature_a": [0.1, None, 3.0, 4.0, 5.5, 1.0],
        "tags": [["rock", "ありがとう"], ["pop"], ["rock"], None, ["pop"], []],
        "country": ["SE", "DE", "SE", None, "DE", "DE"],
    }
)
TARGETS = (None, np.array([0, 1, 0, 1, 1, 0]), np.array([0.5, 1.2, 3.3, 1.0, 2.0, 0.1]))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "processor.skops"
    save_processor(DataProcessor(min_frequency=1).fit(TABLE), path)
    return path


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "settings", [{}, {"k": 2}, {"n_components": None}, {"k": 3, "weighting": "multihot"}]
)
def test_round_trip_gives_equal_output(
    tmp_path: Path, settings: dict[str, object], target: np.ndarray | None
) -> None:
    processor = DataProcessor(min_frequency=1, **settings).fit(TABLE, target)
    save_processor(processor, tmp_path / "p.skops")
    again = load_processor(tmp_path / "p.skops")
    expected, found = processor.transform(TABLE), again.transform(TABLE)
    if settings.get("n_components", 1) is None and not isinstance(expected, np.ndarray):
        expected, found = expected.toarray(), found.toarray()
    np.testing.assert_array_equal(found, expected)
    assert again.get_feature_names_out().tolist() == processor.get_feature_names_out().tolist()
    assert again.get_params() == processor.get_params()


def test_wide_and_empty_processors_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audotics.features.processor._MAX_COVARIANCE", 2)
    for name, table in (("wide", TABLE), ("empty", TABLE.select(title=pl.col("country")))):
        processor = DataProcessor(min_frequency=1, n_components=2).fit(table)
        save_processor(processor, tmp_path / name)
        np.testing.assert_array_equal(
            load_processor(tmp_path / name).transform(table), processor.transform(table)
        )


def _rewrite(path: Path, change: dict[str, str]) -> None:
    """Replace texts in the schema of a stored processor."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    schema = members["schema.json"].decode()
    for old, new in change.items():
        assert old in schema
        schema = schema.replace(old, new)
    members["schema.json"] = schema.encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_a_foreign_type_is_refused_before_it_is_imported(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = stored.parent
    (folder / "planted_module.py").write_text(
        f"import pathlib\npathlib.Path({str(folder / 'ran')!r}).touch()\nclass TermEncoder: ...\n"
    )
    monkeypatch.syspath_prepend(folder)
    _rewrite(stored, {'"audotics.features.term_encoder"': '"planted_module"'})
    with pytest.raises(DamagedError, match=r"planted_module\.TermEncoder"):
        load_processor(stored)
    assert "planted_module" not in sys.modules
    assert not (folder / "ran").exists()


def test_a_function_of_the_system_is_refused(stored: Path) -> None:
    _rewrite(stored, {'"TermEncoder"': '"system"', '"audotics.features.term_encoder"': '"os"'})
    with pytest.raises(DamagedError, match=r"os\.system"):
        load_processor(stored)


@pytest.mark.parametrize("damage", ["missing", "cut", "noise", "no schema", "lost array"])
def test_damaged_files_are_named(stored: Path, damage: str) -> None:
    content = stored.read_bytes()
    if damage == "missing":
        stored.unlink()
    elif damage == "cut":
        stored.write_bytes(content[: len(content) // 2])
    elif damage == "noise":
        stored.write_bytes(np.random.default_rng(0).bytes(2000))
    elif damage == "no schema":
        with zipfile.ZipFile(stored, "w") as archive:
            archive.writestr("readme.txt", "nothing here")
    else:
        with zipfile.ZipFile(stored) as archive:
            schema = archive.read("schema.json")
        with zipfile.ZipFile(stored, "w") as archive:
            archive.writestr("schema.json", schema)
    with pytest.raises(DamagedError, match=r"processor\.skops"):
        load_processor(stored)


def test_a_trusted_but_different_object_is_refused(tmp_path: Path) -> None:
    skops_io.dump(StandardScaler(), tmp_path / "scaler.skops")
    with pytest.raises(DamagedError, match="StandardScaler"):
        load_processor(tmp_path / "scaler.skops")


def test_what_could_not_be_loaded_is_not_stored(tmp_path: Path) -> None:
    processor = DataProcessor(min_frequency=1, random_state=SimpleNamespace()).fit(TABLE)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="SimpleNamespace"):
        save_processor(processor, tmp_path / "p.skops")
    assert not (tmp_path / "p.skops").exists()
