from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from audotics.errors import (
    AudoticsError,
    BadInputError,
    DamagedError,
    MissingExtraError,
    NotFittedError,
    OpenCircuitError,
    OverloadedError,
    RefusedError,
    StorageFullError,
    UnavailableError,
)


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rank: int = Field(8, ge=1, le=64)


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seed: int = 0
    names: tuple[str, ...] = ()
    tags: list[str] = []
    inner: Inner = Inner()


def complaint(values: dict[str, object], prefix: str = "") -> BadInputError:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(values)
    return BadInputError.in_setting(caught.value, prefix, Settings.model_fields)


@pytest.mark.parametrize(
    ("where", "remedy", "text"),
    [
        ("", "", "it is wrong"),
        ("a.csv", "", "a.csv: it is wrong"),
        ("", "Mend it", "it is wrong. Mend it"),
        ("a.csv", "Mend it", "a.csv: it is wrong. Mend it"),
    ],
)
def test_messages_say_where_what_and_what_to_do(where: str, remedy: str, text: str) -> None:
    error = AudoticsError("it is wrong", where=where, remedy=remedy)
    assert str(error) == text
    assert (error.what, error.where, error.remedy) == ("it is wrong", where, remedy)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AudoticsError("x"), 1),
        (BadInputError("x"), 2),
        (MissingExtraError("x", "y"), 2),
        (NotFittedError("x"), 2),
        (DamagedError("x"), 3),
        (RefusedError("x"), 3),
        (UnavailableError("x"), 3),
        (OpenCircuitError("x"), 3),
        (OverloadedError("x"), 3),
        (StorageFullError("x"), 3),
    ],
)
def test_every_error_is_one_of_ours_with_its_exit_code(error: AudoticsError, code: int) -> None:
    assert isinstance(error, AudoticsError)
    assert error.exit_code == code


def test_what_is_damaged_is_not_what_the_caller_gave() -> None:
    assert not issubclass(DamagedError, BadInputError)
    assert not issubclass(RefusedError, BadInputError)


def test_a_full_store_is_an_unavailable_one_that_says_when_to_try_again() -> None:
    assert issubclass(StorageFullError, UnavailableError)
    assert UnavailableError("x").retry_after_s == 1.0
    error = StorageFullError("no room", where="disk", remedy="Make some", retry_after_s=30)
    assert (error.retry_after_s, str(error)) == (30, "disk: no room. Make some")


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError("the page", "report")
    assert str(error) == (
        "the page needs the optional dependency group 'report'. "
        "Install it with: pip install 'audotics[report]'"
    )


def test_what_is_not_fitted_says_so() -> None:
    assert str(NotFittedError("the encoder")) == "the encoder is not fitted yet. Call `fit` first"


def test_a_setting_that_does_not_exist_lists_those_that_do() -> None:
    error = complaint({"sed": 3})
    assert error.where == "sed"
    assert str(error) == "sed: there is no such setting. Settings are seed, names, tags, inner"


@pytest.mark.parametrize(("name", "value"), [("names", "mean"), ("tags", "mean"), ("names", 3)])
def test_one_word_in_place_of_a_list_shows_how_a_list_is_written(name: str, value: object) -> None:
    error = complaint({name: value})
    assert error.what == "a list is needed"
    assert '["one", "two"]' in error.remedy


def test_a_setting_inside_another_is_named_whole() -> None:
    error = complaint({"inner": {"rank": 100}})
    assert error.where == "inner.rank"
    assert "less than or equal to 64" in error.what
    assert error.what.endswith("not 100")


def test_the_prefix_says_whose_setting_it_is() -> None:
    assert complaint({"inner": {"rank": "many"}}, "deep.").where == "deep.inner.rank"


def test_the_place_in_a_list_is_named() -> None:
    assert complaint({"names": ["a", 3]}).where == "names.1"


def test_only_the_first_of_several_complaints_is_told() -> None:
    error = complaint({"seed": "x", "inner": {"rank": 0}})
    assert error.where == "seed"
    assert "rank" not in str(error)


def test_a_subclass_stays_one() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"seed": "x"})

    class SettingError(BadInputError):
        pass

    assert type(SettingError.in_setting(caught.value)) is SettingError


def test_an_error_keeps_its_parts_in_args() -> None:
    assert BadInputError("a", where="b", remedy="c").args == ("a", "b", "c")
