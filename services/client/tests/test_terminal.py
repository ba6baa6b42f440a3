import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pytest
from services.client.tests.conftest import COMMAND, Command
from services.client.tests.fake_login import PASSWORD
from services.client.tests.fake_service import FakeService, never

from fileproc.client import Client
from fileproc.upload import LARGE

pytestmark = pytest.mark.slow
SECONDS = 30


class Terminal:
    """A pseudo-terminal that a command writes to, and what it has shown."""

    def __init__(self, columns: int = 100, mine: int | None = None) -> None:
        self.shown = ""
        if mine is not None:
            self.mine = mine
            return
        self.mine, self.theirs = pty.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def start(self, command: Command, *args: str | Path, **env: str) -> subprocess.Popen[bytes]:
        """Its standard error is this terminal."""
        return self._started(command.start(*args, stderr=self.theirs, env={"TERM": "xterm-256color", **env}))

    def start_shown(self, command: Command, *args: str | Path) -> subprocess.Popen[bytes]:
        """Its standard output is this terminal."""
        return self._started(command.start(*args, stdout=self.theirs, env={"TERM": "xterm-256color"}))

    def _started(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        os.close(self.theirs)
        return process

    def read_until(self, pattern: str) -> None:
        while not re.search(pattern, self.shown):
            text = self._read()
            assert text, self.shown
            self.shown += text

    def read_all(self) -> str:
        while text := self._read():
            self.shown += text
        os.close(self.mine)
        return self.shown

    def _read(self) -> str:
        ready, _, _ = select.select([self.mine], [], [], SECONDS)
        assert ready, self.shown
        try:
            return os.read(self.mine, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            return ""


def test_a_terminal_gets_bars_for_each_step(
    command: Command, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    service.streams = [[500, 1000, 1500, 2000]]
    terminal = Terminal()
    process = terminal.start(command, "enrich", invoices, "-o", tmp_path / "out.csv")
    shown = terminal.read_all()
    out, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, shown
    assert out == b""
    assert "\x1b[" in shown
    assert "━" in shown
    for step in ("Sending invoices.csv", "Enriching invoices.csv", "Fetching out.csv"):
        assert step in shown
    assert re.search(r"[0-9,]+ rows, 1,500 rows/s, 1:05 left", shown)


def test_colours_are_left_out_where_they_are_not_wanted(command: Command, invoices: Path, tmp_path: Path) -> None:
    terminal = Terminal()
    process = terminal.start(command, "enrich", invoices, "-o", tmp_path / "out.csv", NO_COLOR="1")
    shown = terminal.read_all()
    process.communicate(timeout=SECONDS)
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", shown)


def test_elsewhere_progress_is_plain_lines(command: Command, invoices: Path, tmp_path: Path) -> None:
    process = command.start("enrich", invoices, "-o", tmp_path / "out.csv")
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert b"\x1b" not in err
    assert b"\r" not in err
    assert b"Enriching invoices.csv: 3,000 rows, succeeded" in err


@pytest.mark.parametrize(("typed", "code"), [(f"{PASSWORD}\n", 0), ("wrong\n", 3), ("\x03", 130)])
def test_a_password_is_asked_for_without_showing_it(
    command: Command, service: FakeService, typed: str, code: int
) -> None:
    environment = {**os.environ, **command.env, "AWS_ENDPOINT_URL": service.url}
    child, mine = pty.fork()  # a terminal of its own, as a password is read from nowhere else
    if child == 0:
        os.execve(COMMAND, ["fileproc", "login", "--user", "alice"], environment)  # noqa: S606
    terminal = Terminal(mine=mine)
    terminal.read_until("Password of alice: ")
    os.write(mine, typed.encode())
    shown = terminal.read_all()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == code
    assert typed.strip() not in shown or code == 130


@pytest.mark.parametrize("width", [60, 200])
def test_a_preview_shows_as_many_columns_as_fit(
    command: Command, service: FakeService, invoices: Path, width: int
) -> None:
    terminal = Terminal(columns=width)
    process = terminal.start_shown(command, "preview", invoices)
    shown = terminal.read_all()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert "Müller" in shown
    assert re.search(r"\x1b\[2m *-", shown), "an unmatched cell is dim"
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()) <= width


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_the_job(
    command: Command, service: FakeService, invoices: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    service.streams = [[500, "hold"]]
    terminal = Terminal()
    process = terminal.start(command, "enrich", invoices, "-o", tmp_path / "out.csv")
    terminal.read_until("500 rows")
    process.send_signal(sent)
    shown = terminal.read_all()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert "Job job-1 is cancelled." in shown
    assert "Traceback" not in shown
    assert service.jobs["job-1"]["status"] == "cancelled"
    assert not (tmp_path / "out.csv").exists()


def test_ctrl_c_while_waiting_for_a_result_leaves_the_job_alone(
    command: Command, client: Client, service: FakeService, invoices: Path, tmp_path: Path
) -> None:
    service.streams = [[500, "hold"]]
    job = client.submit(client.upload(invoices).id)
    terminal = Terminal()
    process = terminal.start(command, "result", job.id, "-o", tmp_path / "out.csv")
    terminal.read_until("500 rows")
    process.send_signal(signal.SIGINT)
    terminal.read_all()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert service.jobs[job.id]["status"] == "running"


def test_ctrl_c_during_a_large_upload_calls_it_off_at_once(
    command: Command, service: FakeService, tmp_path: Path
) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(LARGE)
    service.part_size = LARGE // 2
    service.fail("PUT", "/storage/.*/2", never)
    terminal = Terminal()
    process = terminal.start(command, "enrich", large, "-o", tmp_path / "out.csv")
    terminal.read_until(r"67.1/67.1 MB")
    process.send_signal(signal.SIGINT)
    terminal.read_all()
    process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert service.asked("DELETE", "/api/uploads/upload-1")
    assert not service.jobs
