import pytest

from audotics.errors import BadInputError
from audotics.ranking.runtimes.choice import ScorerChoice, ScorerKind, is_opened


@pytest.mark.parametrize(
    ("text", "kind", "addresses"),
    [
        ("litert", ScorerKind.LITERT, ()),
        ("tensorflow", ScorerKind.TENSORFLOW, ()),
        ("grpc://host:8500", ScorerKind.GRPC, ("host:8500",)),
        ("grpc://one:8500, two.example:8501", ScorerKind.GRPC, ("one:8500", "two.example:8501")),
        ("http://127.0.0.1:8501/", ScorerKind.HTTP, ("127.0.0.1:8501",)),
        ("http://[::1]:8501", ScorerKind.HTTP, ("[::1]:8501",)),
    ],
)
def test_what_a_setting_says(text, kind, addresses):
    assert ScorerChoice.parse(text) == ScorerChoice(kind, addresses)


@pytest.mark.parametrize(
    "text",
    [
        *("", "onnx", "grpc", "grpc://", "grpc://host", "grpc://host:", "grpc://host:0", "grpc://host:99999"),
        *("http://host:8501,", "http://host:8501/v1", "https://host:8501", "litert://", "host:8500"),
        *("grpc://a:1,b", "http://user@host:8501", "http://host:8501\r\nX: y"),
    ],
)
def test_nothing_else_is_taken(text):
    with pytest.raises(BadInputError, match=r"is not a scorer.*Give litert"):
        ScorerChoice.parse(text)


def test_litert_is_what_rankers_load_by_themselves(tmp_path):
    assert ScorerChoice.parse("litert").runtime(tmp_path, "20261123T101500Z-3f2a", 0.005) is None


def test_a_folder_that_is_no_version_cannot_be_asked_for_elsewhere(tmp_path):
    with pytest.raises(BadInputError, match="not a version"):
        ScorerChoice.parse("grpc://host:8500").runtime(tmp_path, "", 0.005)


@pytest.mark.parametrize(
    ("file", "litert", "tensorflow"),
    [
        ("ranker/many/deep/model.tflite", True, True),
        ("ranker/many/deep/saved_model/1/variables/variables.index", False, True),
        ("ranker/many/deep/model.keras", False, False),
        ("retrieval/ials/track_factors.npy", True, True),
    ],
)
def test_a_server_hashes_what_its_scorer_opens(tmp_path, file, litert, tensorflow):
    for setting, opened in (("litert", litert), ("tensorflow", tensorflow)):
        runtime = ScorerChoice.parse(setting).runtime(tmp_path, "20261123T101500Z-3f2a", 1.0)
        assert is_opened(file, runtime) is opened
