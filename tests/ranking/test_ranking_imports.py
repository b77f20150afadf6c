import subprocess
import sys

import pytest

import audotics.ranking

HEAVY = {"tensorflow", "keras", "sklearn", "scipy", "skops", "ai_edge_litert"}


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_room_brings_nothing_heavy():
    assert run(f"import sys, audotics.ranking; print(sorted({HEAVY} & set(sys.modules)))") == "[]"


def test_no_simple_ranker_needs_scikit_learn_to_load_and_score():
    names = "single", "mean", "logistic", "boosted", "blend"
    program = (
        "import sys; from audotics.ranking.names import ranker_class\n"
        f"for name in {names}:\n    ranker_class(name)\n"
        "print(sorted({'sklearn', 'skops'} & set(sys.modules)))"
    )
    assert run(program) == "[]"


def test_the_deep_ranker_can_be_named_without_tensorflow():
    program = (
        "import sys; from audotics.ranking import DeepRanker, ModelConfig;"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    assert run(program) == "[]"


def test_the_model_without_tensorflow_names_the_extra():
    program = (
        "import sys; sys.modules['keras'] = None\n"
        "from audotics.errors import MissingExtraError\n"
        "import audotics.ranking\n"
        "try:\n    audotics.ranking.DeepRecommender\n"
        "except MissingExtraError as error:\n    print(error)\n"
    )
    assert run(program).endswith("pip install 'audotics[tensorflow]'")


def test_every_public_name_is_there():
    pytest.importorskip("tensorflow")
    for name in audotics.ranking.__all__:
        assert getattr(audotics.ranking, name) is not None
    assert dir(audotics.ranking) == audotics.ranking.__all__


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = audotics.ranking.Nothing
