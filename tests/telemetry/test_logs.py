from __future__ import annotations

import json
import logging

import pytest

from audotics.telemetry.logs import JsonLines, log_json


def test_a_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    handlers, level = list(logging.root.handlers), logging.root.level
    try:
        log_json("info")
        logging.getLogger("audotics.x").info("%s of\n%d", "one", 2)
        logging.getLogger("audotics.x").debug("too quiet")
    finally:
        logging.root.handlers, logging.root.level = handlers, level
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert said["message"] == "one of\n2"
    assert (said["level"], said["logger"]) == ("info", "audotics.x")
    assert said["at"].endswith("+00:00")


def test_a_traceback_stays_on_the_line() -> None:
    try:
        raise ValueError("planted")
    except ValueError:
        import sys

        record = logging.LogRecord("x", logging.ERROR, "file", 1, "failed", (), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError: planted" in json.loads(line)["error"]
