"""What the README promises to somebody who has just cloned the repository: one command, and nothing left behind."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.helpers.stack import COMMANDS, ROOT, Stack, processes_of, wait_for

from local.stack import free_block, is_ready

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of what is committed."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60)
    return folder


@pytest.fixture
def new_terminal(clone: Path) -> Iterator[dict[str, str]]:
    """Nothing of this test run's own environment; free ports."""
    ours = ("AWS_", "FILEPROC_", "LOCAL_", "PYTEST_", "VIRTUAL_ENV")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    path = [part for part in inherited["PATH"].split(os.pathsep) if not part.startswith(str(ROOT))]
    yield {**inherited, "PATH": os.pathsep.join(path), "LOCAL_PORT": str(free_block()), "NO_COLOR": "1"}
    for process in processes_of(clone):
        process.kill()


def test_make_demo_from_a_fresh_clone_shows_it_all_and_leaves_nothing(
    clone: Path, new_terminal: dict[str, str]
) -> None:
    demo = subprocess.run(
        ["make", "demo"], cwd=clone, env=new_terminal, capture_output=True, text=True, timeout=240, check=False
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    print(demo.stdout)
    for user in ("alice", "frank", "bob"):
        assert re.search(rf"\b{user}: [0-9]+ columns added, [0-9]+ keys found", demo.stdout)
    assert re.search(r"bank_account +│ held back │ yes +│ held back", demo.stdout)
    assert list(processes_of(clone)) == []
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout == ""


@contextmanager
def started_by_hand(folder: Path) -> Iterator[tuple[Stack, subprocess.Popen[bytes], Path]]:
    """`local up` in a terminal of its own; its output in a file."""
    stack, output = Stack(folder / "state", free_block()), folder / "output"
    with output.open("w") as target:
        process = subprocess.Popen(
            [str(COMMANDS / "local"), "up"],
            env=stack.shell_environment,
            cwd=ROOT,
            stdout=target,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield stack, process, output
        finally:
            stack.stop()
            process.kill()
            process.wait()


def press_ctrl_c(process: subprocess.Popen[bytes]) -> int:
    """What a terminal does: the signal goes to the whole foreground process group."""
    os.killpg(process.pid, signal.SIGINT)
    return process.wait(40)


def test_ctrl_c_stops_everything_and_leaves_nothing(tmp_path: Path) -> None:
    with started_by_hand(tmp_path) as (stack, process, output):
        wait_for("the stack is up", lambda: stack.is_up and all(map(is_ready, stack.services)), 150)
        assert says_up(stack)
        assert press_ctrl_c(process) in (0, 130), output.read_text()
        assert list(processes_of(stack.state.path)) == []
        assert "Traceback" not in output.read_text()


def test_ctrl_c_while_it_starts_leaves_nothing(tmp_path: Path) -> None:
    with started_by_hand(tmp_path) as (stack, process, output):
        wait_for("the first processes have started", lambda: len(list(processes_of(stack.state.path))) > 4, 30)
        assert press_ctrl_c(process) in (0, 130), output.read_text()
        assert list(processes_of(stack.state.path)) == []
        assert "Traceback" not in output.read_text()


def test_a_second_stack_in_the_same_place_is_refused_and_the_first_goes_on(stack: Stack) -> None:
    again = local(stack, "up", "--background", "--wait")
    assert again.returncode != 0
    assert "Traceback" not in again.stdout + again.stderr
    assert says_up(stack)


def local(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of `local`."""
    return subprocess.run(
        [str(COMMANDS / "local"), *arguments],
        env=stack.shell_environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def says_up(stack: Stack) -> bool:
    """Whether `local status` says that all is well."""
    return local(stack, "status").returncode == 0
