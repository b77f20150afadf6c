"""Every `audotics` command that the documentation shows is one that the command line accepts."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from audotics.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(ROOT / "docs" / "cli.md")


def shown_commands() -> list[tuple[str, str]]:
    pattern = re.compile(r"^\s*(?:\$ |\w+=\S+ )*(audotics [a-z].*)$", re.MULTILINE)
    return [
        (page.relative_to(ROOT).as_posix(), line)
        for page in PAGES
        for line in pattern.findall(page.read_text(encoding="utf-8").replace("\\\n", " "))
    ]


def without_shell(line: str) -> list[str]:
    """The arguments up to a comment, a redirection or a pipe."""
    words = shlex.split(line, comments=True)
    ends = [position for position, word in enumerate(words) if re.match(r"[|>&;]|\d>", word)]
    return words[1 : min(ends, default=len(words))]


@pytest.mark.parametrize(("page", "line"), shown_commands())
def test_a_shown_command_is_accepted(page, line):
    command, name, arguments = typer.main.get_command(app), "audotics", without_shell(line)
    while hasattr(command, "commands"):
        name, *arguments = arguments
        assert name in command.commands, f"{page}: no command {name!r}"
        command = command.commands[name]
    command.make_context(name, arguments)


def test_the_readme_shows_the_first_hour():
    shown = {without_shell(line)[0] for page, line in shown_commands() if page == "README.md"}
    assert {"import", "simulate", "train", "evaluate", "recommend"} <= shown


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
