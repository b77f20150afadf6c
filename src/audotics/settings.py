"""Deployment settings: where this installation keeps things. Never part of a version.

Read from the environment (``AUDOTICS_MODELS=...``), from files of secrets, and from ``audotics.toml`` in the
current folder, in this order of precedence. Options on the command line win over all.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from audotics.errors import BadInputError

CONFIG_FILE = Path("audotics.toml")

SECRETS_FOLDER = "AUDOTICS_SECRETS"
"""Variable that names a folder with a file for each secret setting, such as ``audotics_database_url``: what
Docker and Kubernetes mount, so that no password stands in an environment."""


class Settings(BaseSettings):
    """All deployment settings."""

    model_config = SettingsConfigDict(
        env_prefix="AUDOTICS_", toml_file=CONFIG_FILE, frozen=True, extra="forbid"
    )

    models: Path = Field(default=Path("models"), description="Folder of trained versions and their aliases.")
    host: str = Field(default="127.0.0.1", description="Address that the server listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port of the server; 0 takes a free one.")
    workers: int = Field(default=1, ge=1, le=256, description="Server processes that share the port.")
    database_url: SecretStr = Field(
        default=SecretStr("sqlite:///audotics.db"),
        description="Event log: sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME.",
    )
    redis_url: SecretStr | None = Field(
        default=None,
        description="Second level of the cache: redis://HOST:PORT/0 or unix:///SOCKET; none without.",
    )
    redis_timeout_ms: float = Field(
        default=50.0,
        gt=0,
        description="Longest wait for Redis. A busy worker reads answers late, so not much less.",
    )
    scorer: str = Field(
        default="litert",
        description="What scores with deep rankers: litert or tensorflow in process, or TensorFlow "
        "Serving at grpc://HOST:8500[,HOST:8500] or http://HOST:8501[,HOST:8501] (docs/tf-serving.md).",
    )
    scorer_deadline_ms: float = Field(
        default=5.0, gt=0, description="Time that one answer of TensorFlow Serving may take."
    )
    deadline_ms: float = Field(default=100.0, gt=0, description="Time that a recommendation may take.")
    in_flight: int = Field(
        default=2,
        ge=1,
        description="Uncached answers that a worker computes or has waiting; beyond, it steps down.",
    )
    cache_ttl_s: float = Field(default=86_400.0, gt=0, description="Life of a cached answer.")
    cache_mb: int = Field(default=64, ge=1, description="Memory of a worker's own cache.")
    warm_listeners: int = Field(
        default=0, ge=0, description="Most active listeners answered ahead after a model change."
    )
    guardrails: Literal["rollback", "local", "off"] = Field(
        default="rollback",
        description="What happens to a new version that is worse: rolled back for every server, or in this "
        "process only; or nothing is watched.",
    )
    probation_s: float = Field(
        default=600.0, gt=0, description="How long a new version is watched and the one before kept."
    )
    monitor_every_s: float = Field(
        default=300.0,
        ge=0,
        description="How often drift and online quality are looked at, by a process of low priority beside "
        "the server; 0 looks never. One server of several is enough.",
    )
    monitor_rows: int = Field(
        default=500_000,
        ge=1_000,
        description="The newest events and answers of one such look; 350,000 take 8 seconds of computing and "
        "650 MB.",
    )
    rules: Path | None = Field(
        default=None, description="TOML with the rules of every slate (docs/slate.md)."
    )
    keys: Path | None = Field(
        default=None,
        description="File of API keys (`audotics keys`); without one reading and writing are open.",
    )
    rate_limit: float = Field(
        default=0.0, ge=0, description="Requests per second of one key; 0 sets no limit."
    )
    cors_origins: tuple[str, ...] = Field(default=(), description="Web origins that may call the API.")
    max_body_bytes: int = Field(default=1_048_576, ge=1024, description="Longest request body.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What the server logs."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the folder of secrets, then the file."""
        folder = os.environ.get(SECRETS_FOLDER)
        secrets = (SecretsSettingsSource(settings_cls, secrets_dir=folder),) if folder else ()
        return init_settings, env_settings, *secrets, TomlConfigSettingsSource(settings_cls)


def read_settings() -> Settings:
    """The settings in force in the current folder.

    Raises:
        BadInputError: A setting is unknown or unusable, the file is not TOML, or the folder of secrets is
            not there.
    """
    secrets = os.environ.get(SECRETS_FOLDER)
    if secrets and not Path(secrets).is_dir():
        raise BadInputError("there is no such folder", where=f"{SECRETS_FOLDER}={secrets}")
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
