"""supervisord keeps a stack's processes, as the cluster keeps pods: it starts them, starts them again, stops them.

Every process of a stack, and every process that one of them starts, has `LOCAL_STACK=<state folder>` in its
environment. By it a stack's leftovers are found even after supervisord itself was killed.
"""

import configparser
import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from xmlrpc.client import Error, ServerProxy

import psutil
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from local.services import base_environment
from local.state import StateFolder

MARK = "LOCAL_STACK"
GROUP = "stack"
STOP_SECONDS = 10


class Program(Protocol):
    """What can be kept running."""

    @property
    def name(self) -> str:
        """Names the process and its log."""

    @property
    def command(self) -> Sequence[str]:
        """What is executed."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables of its own."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """A process as supervisord sees it.

    Attributes:
        state: `RUNNING`, `STARTING`, `STOPPED`, `EXITED`, `BACKOFF` (ended at once, will be tried again) or `FATAL`.
        pid: 0 where there is none.
        started: Seconds since the epoch.
    """

    name: str
    state: str
    pid: int
    started: int
    description: str

    @property
    def has_failed(self) -> bool:
        """Whether it ended, although nobody asked it to."""
        return self.state in {"BACKOFF", "FATAL", "EXITED"}


class Supervisor:
    """The supervisord of one state folder, which may not be running."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        # A socket's path may have 107 bytes at most, and the state folder may be anywhere.
        digest = hashlib.sha256(str(state.path).encode()).hexdigest()[:16]
        self._supervisord: subprocess.Popen[bytes] | None = None
        self._socket = Path(tempfile.gettempdir()) / f"fileproc-{os.getuid()}-{digest}.sock"

    def start(self, services: Sequence[Program], *, restart: bool, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Start supervisord, which starts all `services` at once.

        Args:
            services: What to run.
            restart: Whether a process that ends is started again.
            settings: Environment variables by the service's name that replace our own.
        """
        config = configparser.RawConfigParser()
        config["supervisord"] = {
            "nodaemon": "true",
            "logfile": str(self._state.logs / "supervisord.log"),
            "pidfile": str(self._state.path / "supervisord.pid"),
            "childlogdir": str(self._state.logs),
        }
        config["unix_http_server"] = {"file": str(self._socket), "chmod": "0700"}
        config["rpcinterface:supervisor"] = {
            "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
        }
        for service in services:
            environment = {**service.environment, **settings.get(service.name, {})}
            config[f"program:{service.name}"] = self._program(service, environment, restart=restart)
        # One group, because supervisord stops one group after the other.
        config[f"group:{GROUP}"] = {"programs": ",".join(service.name for service in services)}
        file = self._state.path / "supervisord.conf"
        file.touch(mode=0o600)
        with file.open("w") as target:
            config.write(target)
        with (self._state.logs / "supervisord.out").open("wb") as output:
            self._supervisord = subprocess.Popen(
                [sys.executable, "-m", "supervisor.supervisord", "-c", str(file)],
                env={**base_environment(), MARK: str(self._state.path)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _program(self, service: Program, environment: Mapping[str, str], *, restart: bool) -> dict[str, str]:
        variables = [f"{name}={value}" for name, value in environment.items()]
        command = shlex.join(["/usr/bin/env", *variables, *service.command])
        return {
            "command": command.replace("%", "%%"),
            "directory": str(self._state.path),
            "autorestart": str(restart).lower(),
            "startsecs": "1",
            "startretries": "5",
            "stopasgroup": "true",
            "killasgroup": "true",
            "stopwaitsecs": str(STOP_SECONDS),
            "redirect_stderr": "true",
            "stdout_logfile": str(self._state.logs / f"{service.name}.log").replace("%", "%%"),
            "stdout_logfile_maxbytes": "50MB",
            "stdout_logfile_backups": "1",
        }

    def processes(self) -> list[ProcessState] | None:
        """All processes, or None where supervisord does not answer."""
        try:
            found = self._call("getAllProcessInfo")
        except (OSError, Error):
            return None
        return [
            ProcessState(each["name"], each["statename"], each["pid"], each["start"], each["description"])
            for each in found
        ]

    def process(self, name: str) -> ProcessState:
        """One process; raises KeyError where there is none of that name."""
        for each in self.processes() or []:
            if each.name == name:
                return each
        raise KeyError(name)

    def start_process(self, name: str, *, wait: bool = False) -> None:
        """Start a process that is not running; `wait` until it has run for a second."""
        self._call("startProcess", f"{GROUP}:{name}", wait)

    def stop_process(self, name: str) -> None:
        """Ask a process to stop, and wait until it has."""
        self._call("stopProcess", f"{GROUP}:{name}")

    def signal_process(self, name: str, signal: str) -> None:
        """Send a signal, such as `KILL`."""
        self._call("signalProcess", f"{GROUP}:{name}", signal)

    def _call(self, method: str, *arguments: Any) -> Any:
        with closing(SupervisorTransport(None, None, f"unix://{self._socket}")) as transport:
            # The address is not looked at: the transport goes to the socket.
            proxy = ServerProxy("http://127.0.0.1", transport=transport)
            return getattr(proxy.supervisor, method)(*arguments)

    def stop(self) -> int:
        """Stop everything of this state folder, supervisord included; returns how many processes there were."""
        found = self.members()
        supervisord = [process for process in found if _is_supervisord(process)]
        _end(supervisord, seconds=STOP_SECONDS + 10)
        left = self.members()
        _end(left, seconds=STOP_SECONDS)
        if self._supervisord is not None:
            self._supervisord.wait(STOP_SECONDS)
            self._supervisord = None
        self._socket.unlink(missing_ok=True)
        return len(found)

    def members(self) -> list[psutil.Process]:
        """Every process that belongs to this state folder, however it was started."""
        mark, own = str(self._state.path), os.getpid()
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid != own and process.environ().get(MARK) == mark:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found


def _is_supervisord(process: psutil.Process) -> bool:
    try:
        return "supervisor.supervisord" in process.cmdline()
    except psutil.Error:
        return False


def _end(processes: Sequence[psutil.Process], seconds: float) -> None:
    for process in processes:
        _signal(process.terminate)
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        _signal(process.kill)
    psutil.wait_procs(alive, timeout=5)


def _signal(send: Any) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def last_lines(file: Path, count: int = 15) -> str:
    """The end of a log, for an error message."""
    if not file.is_file():
        return "(no log)"
    lines = file.read_text(errors="replace").splitlines()
    return "\n".join(lines[-count:]) or "(the log is empty)"


def wait_for(condition: Any, seconds: float, every: float = 0.05) -> bool:
    """Whether `condition()` became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
