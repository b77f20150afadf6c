from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import audotics
from audotics.errors import BadInputError
from audotics.lazy_names import lazy_names
from audotics.ranking.names import RANKER_NAMES, ranker_class
from audotics.retrieval.names import RETRIEVER_NAMES, new_retriever, retriever_class
from audotics.training.config import RANKERS, TrainConfig

SOURCE = Path(audotics.__file__).parent
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
PACKAGES = ["audotics", *(f"audotics.{room}" for room in ROOMS)]
LAZY = [name for name in PACKAGES if hasattr(import_module(name), "__getattr__")]
NEED_TENSORFLOW = {"DeepRecommender"}


def homes_for_checkers(package: str) -> set[str]:
    """Names that a package imports under ``TYPE_CHECKING``."""
    tree = ast.parse(Path(import_module(package).__file__ or "").read_text(encoding="utf-8"))
    guards = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for guard in guards for node in guard.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_all_rooms_of_the_package_are_looked_at() -> None:
    assert {
        "data",
        "evaluation",
        "features",
        "ranking",
        "recommender",
        "retrieval",
        "serving",
        "training",
    } <= set(ROOMS)
    assert "audotics" in LAZY
    assert len(LAZY) > 5


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_is_there(package: str) -> None:
    room = import_module(package)
    for name in sorted(set(room.__all__) - NEED_TENSORFLOW):
        assert getattr(room, name) is not None
    assert dir(room) == room.__all__ == sorted(room.__all__)


@pytest.mark.parametrize("package", LAZY)
def test_checkers_and_python_see_the_same_names(package: str) -> None:
    assert homes_for_checkers(package) == set(import_module(package).__all__)


@pytest.mark.parametrize("package", LAZY)
def test_a_name_that_is_not_public_is_no_attribute(package: str) -> None:
    room = import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        room.Nothing  # noqa: B018


def test_a_public_name_is_the_thing_itself() -> None:
    for name in set(audotics.__all__) - NEED_TENSORFLOW:
        found = getattr(audotics, name)
        assert found.__name__ == name
        assert found.__module__.startswith("audotics.")
        assert getattr(audotics, name) is found


def test_nothing_is_imported_before_a_name_is_used() -> None:
    load, names, public = lazy_names("audotics", {"gone": "no_such_module", "Mode": "domain"})
    assert names() == public == ["Mode", "gone"]
    assert load("Mode") is audotics.domain.Mode
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load("gone")


def test_importing_every_room_imports_nothing_heavy() -> None:
    heavy = ["tensorflow", "keras", "sklearn", "scipy.stats", "matplotlib", "pandera", "optuna", "redis"]
    script = (
        f"import importlib, sys\n[importlib.import_module(name) for name in {LAZY!r}]\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_retriever_goes_by_its_name() -> None:
    assert len(set(RETRIEVER_NAMES)) == len(RETRIEVER_NAMES)
    for name in RETRIEVER_NAMES:
        assert retriever_class(name).name == name
        made = new_retriever(name, {})
        assert made.name == name
        assert made.config == type(made).config_type()


@pytest.mark.parametrize("name", ["", "IALS", "item_knn", "popularity ", "__class__"])
def test_an_unknown_retriever_lists_the_known(name: str) -> None:
    with pytest.raises(BadInputError, match="there is no retriever") as caught:
        retriever_class(name)
    assert all(known in caught.value.remedy for known in RETRIEVER_NAMES)


@pytest.mark.parametrize("name", ["", "Deep", "gbdt", "__class__"])
def test_an_unknown_ranker_lists_the_known(name: str) -> None:
    with pytest.raises(BadInputError, match="there is no ranker") as caught:
        ranker_class(name)
    assert all(known in caught.value.remedy for known in RANKER_NAMES)


@pytest.mark.parametrize("name", RETRIEVER_NAMES)
def test_settings_of_every_retriever_are_checked(name: str) -> None:
    with pytest.raises(BadInputError, match=rf"settings\.{name}\.magic: there is no such setting"):
        new_retriever(name, {"magic": 1})
    setting = next(iter(retriever_class(name).config_type.model_fields), None)
    if setting is not None:
        with pytest.raises(BadInputError, match=rf"settings\.{name}\.{setting}.*'no such value'"):
            new_retriever(name, {setting: "no such value"})


@pytest.mark.parametrize("name", RETRIEVER_NAMES)
def test_every_searched_setting_exists(name: str) -> None:
    found = retriever_class(name)
    assert set(found.space) <= set(found.config_type.model_fields)


def test_training_knows_every_ranker_in_the_order_of_simplicity() -> None:
    assert TrainConfig().rankers == RANKERS
    assert set(RANKERS) == set(RANKER_NAMES)


@pytest.mark.parametrize("name", [name for name in RANKER_NAMES if name != "deep"])
def test_every_ranker_goes_by_its_name(name: str) -> None:
    assert ranker_class(name).name == name


def test_the_version_is_a_version() -> None:
    assert audotics.__version__.count(".") == 2
