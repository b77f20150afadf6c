"""`audotics doctor`: what is installed, reachable, misconfigured."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from audotics.cli.options import JsonOption, ModelsOption
from audotics.errors import RefusedError

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``ok`` is False where something that is needed is broken."""

    subject: str
    state: str
    ok: bool = True


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)


def doctor(
    models: ModelsOption,
    as_json: JsonOption = False,
    tensorflow: Annotated[
        bool, typer.Option("--tensorflow", help="Start TensorFlow and list its devices (seconds).")
    ] = False,
) -> None:
    """Check the installation.

    Exit code 3 if something that is needed is missing or cannot be used.
    """
    findings = [*_machine(), *_libraries(), _models_folder(models)]
    if tensorflow:
        findings.append(_tensorflow_devices())
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        for finding in findings:
            print(f"{'ok ' if finding.ok else 'BAD'} {finding.subject:<18} {finding.state}")
    broken = [finding.subject for finding in findings if not finding.ok]
    if broken:
        raise RefusedError(f"needed but broken: {', '.join(broken)}", remedy="See the lines marked BAD")


def _machine() -> Iterator[Finding]:
    import platform

    wanted = ".".join(map(str, OLDEST_PYTHON))
    yield Finding(
        "python", f"{platform.python_version()} ({wanted} or newer)", sys.version_info >= OLDEST_PYTHON
    )
    yield Finding("platform", platform.platform())
    yield Finding("cores", _cores())
    limits = [f"{name}={os.environ[name]}" for name in _THREAD_LIMITS if name in os.environ]
    yield Finding("thread limits", ", ".join(limits) or "none set")
    yield Finding("memory", _memory())


def _cores() -> str:
    # Only Linux tells which cores a process may use.
    usable = getattr(os, "sched_getaffinity", None)
    return f"{len(usable(0))} usable of {os.cpu_count()}" if usable else f"{os.cpu_count()}"


def _memory() -> str:
    gib = os.sysconf("SC_PAGE_SIZE") / 2**30
    size = f"{gib * os.sysconf('SC_PHYS_PAGES'):.1f} GiB"
    if "SC_AVPHYS_PAGES" not in os.sysconf_names:  # not on macOS
        return size
    return f"{gib * os.sysconf('SC_AVPHYS_PAGES'):.1f} GiB free of {size}"


_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "TF_NUM_INTRAOP_THREADS")


def _libraries() -> Iterator[Finding]:
    from importlib import metadata  # slow to import, like platform above; help should not wait for them

    seen = {"audotics"}
    for requirement in metadata.requires("audotics") or []:
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([a-z-]+)['\"]", requirement)
        if name in seen or (extra and extra[1] == "dev"):
            continue
        seen.add(name)
        try:
            yield Finding(name, metadata.version(name))
        except metadata.PackageNotFoundError:
            remedy = f"install audotics[{extra[1]}]" if extra else "install audotics again"
            yield Finding(name, f"not installed: {remedy}", ok=extra is not None)


def _models_folder(models: Path) -> Finding:
    existing = next(folder for folder in (models.absolute(), *models.absolute().parents) if folder.exists())
    if not existing.is_dir():
        return Finding("models folder", f"{existing} is not a folder", ok=False)
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("models folder", f"{existing} cannot be written", ok=False)
    state = "can be written" if existing == models.absolute() else "can be created"
    return Finding("models folder", f"{models} {state}")


def _tensorflow_devices() -> Finding:
    try:
        import tensorflow as tf
    except ImportError as error:
        return Finding("tensorflow devices", f"cannot be imported: {error}", ok=False)
    return Finding(
        "tensorflow devices", ", ".join(device.name for device in tf.config.list_physical_devices())
    )
