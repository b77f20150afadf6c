from pathlib import Path

import pytest

from audotics.errors import BadInputError
from audotics.settings import SECRETS_FOLDER, read_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUDOTICS_MODELS", raising=False)
    monkeypatch.delenv(SECRETS_FOLDER, raising=False)


def test_defaults_need_no_file():
    assert read_settings().models == Path("models")


def test_the_file_wins_over_the_default_and_the_environment_over_the_file(monkeypatch):
    Path("audotics.toml").write_text('models = "/srv/models"\n')
    assert read_settings().models == Path("/srv/models")
    monkeypatch.setenv("AUDOTICS_MODELS", "elsewhere")
    assert read_settings().models == Path("elsewhere")


def test_other_variables_with_the_prefix_are_not_ours(monkeypatch):
    monkeypatch.setenv("AUDOTICS_DEBUG", "1")
    assert read_settings().models == Path("models")


def test_an_unknown_setting_is_named():
    Path("audotics.toml").write_text("modles = 'x'\n")
    with pytest.raises(BadInputError, match=r"'modles'.*Known settings: models"):
        read_settings()


def test_an_unusable_setting_is_named():
    Path("audotics.toml").write_text("models = 3\n")
    with pytest.raises(BadInputError, match="setting 'models'"):
        read_settings()


@pytest.mark.parametrize("content", [b"models = \n", b"[", b"\xff\xfe\x00"])
def test_a_file_that_is_not_toml_is_said_so(content):
    Path("audotics.toml").write_bytes(content)
    with pytest.raises(BadInputError, match=r"audotics\.toml: is not valid TOML"):
        read_settings()


def test_settings_cannot_be_changed_after_reading():
    with pytest.raises(ValueError, match="frozen"):
        read_settings().models = Path("x")


def test_secrets_are_read_from_files_below_the_environment_and_above_the_file(tmp_path, monkeypatch):
    Path("audotics.toml").write_text('database_url = "sqlite:///toml.db"\n')
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "audotics_database_url").write_text("sqlite:///secret.db\n")
    (secrets / "api_keys.json").write_text("[]")
    assert read_settings().database_url.get_secret_value() == "sqlite:///toml.db"
    monkeypatch.setenv(SECRETS_FOLDER, str(secrets))
    assert read_settings().database_url.get_secret_value() == "sqlite:///secret.db"
    monkeypatch.setenv("AUDOTICS_DATABASE_URL", "sqlite:///environment.db")
    assert read_settings().database_url.get_secret_value() == "sqlite:///environment.db"


def test_a_folder_of_secrets_that_is_not_there_is_said_so(monkeypatch):
    monkeypatch.setenv(SECRETS_FOLDER, "/no/such/folder")
    with pytest.raises(BadInputError, match="AUDOTICS_SECRETS=/no/such/folder: there is no such folder"):
        read_settings()


def test_a_secret_that_cannot_be_used_is_named_without_its_value(tmp_path, monkeypatch):
    (tmp_path / "audotics_port").write_text("swordfish")
    monkeypatch.setenv(SECRETS_FOLDER, str(tmp_path))
    with pytest.raises(BadInputError, match="setting 'port'") as caught:
        read_settings()
    assert "swordfish" not in str(caught.value)
