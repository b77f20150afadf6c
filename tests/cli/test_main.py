import errno
import os
import signal
import subprocess
import sys
import time

import pytest
import typer

import audotics
from audotics.cli import main as command_line
from audotics.errors import AudoticsError, BadInputError, DamagedError, RefusedError


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command line in this process; gives exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["audotics", *arguments])
        with pytest.raises(SystemExit) as stop:
            command_line.main()
        output = capsys.readouterr()
        return int(stop.value.code or 0), output.out, output.err

    return run


@pytest.fixture
def failing(monkeypatch):
    """A command line whose only command, `fail`, raises what the test puts into the list."""
    app = typer.Typer()
    raised: list[BaseException] = []

    @app.callback()
    def root() -> None:
        pass

    @app.command()
    def fail() -> None:
        raise raised[0]

    monkeypatch.setattr(command_line, "app", app)
    return raised


def test_the_version_is_printed(run):
    assert run("--version") == (0, f"audotics {audotics.__version__}\n", "")


def test_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    for name in ("models", "doctor"):
        assert f"\n  {name} " in out


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["nonsense"], ["models", "show"], ["models", "nonsense"]]
)
def test_wrong_usage_is_exit_2_on_stderr(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err


def test_a_misspelt_command_gets_a_suggestion(run):
    assert "Did you mean 'doctor'?" in run("docter")[2]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadInputError("no such column", where="a.csv", remedy="Name one with --map"), 2),
        (DamagedError("is missing", where="model.npy"), 3),
        (RefusedError("not better than the champion"), 3),
        (AudoticsError("odd"), 1),
    ],
)
def test_errors_on_purpose_are_one_line_and_their_exit_code(run, failing, error, code):
    failing.append(error)
    assert run("fail") == (code, "", f"error: {error}\n")


def test_a_bug_is_exit_1_and_says_where(run, failing, monkeypatch):
    monkeypatch.delenv("AUDOTICS_DEBUG", raising=False)
    failing.append(KeyError("rank"))
    code, out, err = run("fail")
    assert (code, out) == (1, "")
    assert "bug: KeyError: 'rank' at " in err
    assert "test_main.py:" in err
    assert "AUDOTICS_DEBUG=1" in err
    assert "Traceback" not in err


def test_a_bug_is_shown_in_full_when_asked(run, failing, monkeypatch):
    monkeypatch.setenv("AUDOTICS_DEBUG", "1")
    failing.append(KeyError("rank"))
    code, _, err = run("fail")
    assert code == 1
    assert "Traceback (most recent call last)" in err


def test_an_interruption_is_exit_130_without_traceback(run, failing):
    failing.append(KeyboardInterrupt())
    assert run("fail") == (130, "", "interrupted: unfinished work was dropped\n")


SLEEPER = """
import signal, sys, time
from audotics.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a build may have started us with it ignored
@main.app.command()
def sleep():
    print("ready", flush=True)
    time.sleep(60)
sys.argv = ["audotics", "sleep"]
main.main()
"""


def test_ctrl_c_ends_a_real_process_with_130():
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "interrupted: unfinished work was dropped\n"
    assert time.monotonic() - started < 30


def test_a_closed_pipe_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "audotics.cli.main", "--help"]
    script = "from audotics.cli.main import main; import sys; sys.argv = ['audotics', '--help']; main()"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "models"), "error: models: Permission denied\n"),
        (OSError(errno.ENOSPC, "No space left on device"), "error: No space left on device\n"),
    ],
)
def test_what_the_system_refuses_is_exit_2_and_no_bug(run, failing, monkeypatch, error, line):
    monkeypatch.delenv("AUDOTICS_DEBUG", raising=False)
    failing.append(error)
    assert run("fail") == (2, "", line)


def test_what_the_system_refuses_has_a_traceback_when_asked(run, failing, monkeypatch):
    monkeypatch.setenv("AUDOTICS_DEBUG", "1")
    failing.append(FileNotFoundError(errno.ENOENT, "No such file or directory", "a.csv"))
    code, _, err = run("fail")
    assert code == 2
    assert "Traceback (most recent call last)" in err
    assert err.endswith("error: a.csv: No such file or directory\n")
