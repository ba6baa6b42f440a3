"""`make run`, as somebody with a terminal sees it, on a quiet machine."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from tests.helpers.stack import ROOT, Stack, processes_of, wait_for

from local.stack import free_block

pytestmark = [pytest.mark.slow, pytest.mark.timed, pytest.mark.timeout(400)]

READY_SECONDS = 120
"""After installation."""


def test_make_run_is_ready_with_the_page_in_under_two_minutes_and_ctrl_c_leaves_nothing(
    packages: None, tmp_path: Path, report_figure: Callable[[str], None]
) -> None:
    stack, output = Stack(tmp_path / "state", free_block()), tmp_path / "output"
    begin = time.monotonic()
    with output.open("w") as target:
        run = subprocess.Popen(
            ["make", "--no-print-directory", "run"],
            cwd=ROOT,
            env=stack.shell_environment,
            stdout=target,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:

        def says(text: str) -> bool:
            said = output.read_text()
            assert run.poll() is None, said
            return text in said

        wait_for("its address is printed", lambda: says("In a browser"), 200)
        ready = time.monotonic() - begin
        assert says(stack.app)
        login = httpx2.get(stack.app, follow_redirects=True, timeout=60)
        assert "Sign in" in login.text
        wait_for("the samples were enriched", lambda: says("Ctrl-C stops it."), 200)
        shown = time.monotonic() - begin
        report_figure(f"make run: ready with the page after {ready:.0f} s, all samples enriched after {shown:.0f} s")
        assert shown < READY_SECONDS
        os.killpg(run.pid, signal.SIGINT)
        run.wait(60)
        assert list(processes_of(stack.state.path)) == []
        assert "Traceback" not in output.read_text()
    finally:
        stack.stop()
        run.kill()
        run.wait()
