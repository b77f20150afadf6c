"""Writes docs/cli.md from what every command says with --help. Run it with `make docs`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from audotics.cli.main import app

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

INTRODUCTION = """\
# Command line

Made by `make docs` from the commands themselves; change their help, not this page.

Exit codes: 0 done, 1 a bug, 2 bad input or usage, 3 a gate or check said no, 130 interrupted.
Errors are one line on standard error: what is wrong, where, what to do. Progress goes to standard
error too: a bar on a terminal, a line per stage elsewhere.
"""


def commands(command: Any = None, context: Any = None, name: str = "audotics") -> Iterator[tuple[Any, Any]]:
    """Every command below this one with the context that its help is made in, groups first."""
    command = command or typer.main.get_command(app)
    context = typer.Context(command, info_name=name, parent=context, terminal_width=100)
    yield command, context
    for inner in getattr(command, "commands", {}).values():
        yield from commands(inner, context, inner.name)


def reference() -> str:
    """The whole page."""
    sections = (
        f"\n## {context.command_path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
        for command, context in commands()
    )
    return INTRODUCTION + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
