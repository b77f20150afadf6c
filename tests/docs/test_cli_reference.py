import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITER = runpy.run_path(str(ROOT / "scripts" / "write_cli_reference.py"))
COMMANDS = {context.command_path: command for command, context in WRITER["commands"]()}


def test_the_page_is_what_the_commands_say():
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == WRITER["reference"](), "run `make docs`"


def test_groups_are_walked_to_the_end():
    assert {"audotics", "audotics doctor", "audotics models", "audotics models rollback"} <= set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_every_option_says_what_it_does(path):
    command = COMMANDS[path]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{path} {parameter.name}"
