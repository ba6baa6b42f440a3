"""What is in a log, and what is not."""

import json
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys
import structlog
from common.logging import configure_logging
from common.settings import ServiceSettings

configure_logging("example", ServiceSettings(log_format=sys.argv[1]))

def fail(authorization):
    raise RuntimeError("it broke")

for log in (structlog.get_logger(), logging.getLogger("a.library")):
    try:
        fail("Bearer " + "hunter" + "2")
    except RuntimeError as error:
        log.error("request.failed", exc_info=error)
"""


def output(log_format: str) -> str:
    done = subprocess.run([sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_exception_is_logged_with_its_place_and_without_the_values_of_variables(log_format: str) -> None:
    logged = output(log_format)
    assert logged.count("request.failed") == 2
    assert logged.count("it broke") == 2
    assert "fail" in logged
    assert "hunter2" not in logged


def test_each_line_is_one_json_object_that_names_the_service() -> None:
    lines = [json.loads(line) for line in output("json").splitlines()]
    assert [line["service"] for line in lines] == ["example", "example"]
    assert [line["level"] for line in lines] == ["error", "error"]
