"""Deployment settings: where this installation keeps things. Never part of a version.

Read from the environment (``AUDOTICS_MODELS=...``) and from ``audotics.toml`` in the current folder;
the environment wins. Options on the command line win over both.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from audotics.errors import BadInputError

CONFIG_FILE = Path("audotics.toml")


class Settings(BaseSettings):
    """All deployment settings."""

    model_config = SettingsConfigDict(
        env_prefix="AUDOTICS_", toml_file=CONFIG_FILE, frozen=True, extra="forbid"
    )

    models: Path = Field(default=Path("models"), description="Folder of trained versions and their aliases.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def read_settings() -> Settings:
    """The settings in force in the current folder.

    Raises:
        BadInputError: A setting is unknown or unusable, or the file is not TOML.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInputError(
            f"setting {name!r}: {first['msg']}",
            where=f"{CONFIG_FILE} or AUDOTICS_{name.upper()}",
            remedy="Known settings: " + ", ".join(Settings.model_fields),
        ) from error
    except ValueError as error:
        raise BadInputError(f"is not valid TOML ({error})", where=str(CONFIG_FILE)) from error
