"""A whole stack, for commands and for tests.

with Stack(tmp_path / "state") as stack:        # free ports, own state; stopped at the end
    httpx2.get(f"{stack.addresses.api}/api/departments", headers=stack.authorization("alice"))
    stack.kill("worker")
    stack.start_service("worker")
"""

import json
import random
import socket
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError

from local import names
from local.addresses import BLOCK, HOST, Addresses, conflict, outgoing_ports
from local.services import FRONTEND_PYTHON, Service, aws_environment, describe
from local.state import StackFile, StateFolder
from local.supervision import Supervisor, last_lines, wait_for

START_SECONDS = 180


class StackError(Exception):
    """The stack cannot do what was asked; the message says why."""


class Stack:
    """One stack: a state folder and a block of ports."""

    def __init__(
        self,
        state: Path,
        port: int | None = None,
        *,
        departments: Path | None = None,
        data: Path | None = None,
        restart: bool = False,
        frontends: int = 0,
        settings: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            state: Folder of everything that it writes.
            port: First of its 50 ports; a free block without one.
            departments: Folder of one's own `Department` files, beside finance, hr and legal.
            data: Folder of their data.
            restart: Whether a process that ends is started again.
            frontends: How many replicas of the page; more than one needs a database and a bucket by `settings`.
            settings: Environment variables by process, such as `{"worker": {"JOBS_AT_ONCE": "1"}}`.
        """
        self.state = StateFolder(state.resolve())
        self._supervisor = Supervisor(self.state)
        running = self.state.read() if port is None else None
        self.addresses = Addresses(port or (running.port if running else free_block()))
        self._departments, self._data = departments, data
        self._restart, self._frontends = restart, frontends
        self._settings = settings or {}

    def __enter__(self) -> Self:
        """Start, and wait until all is ready."""
        try:
            self.start()
            self.wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Stop everything."""
        self.stop()

    def start(self) -> None:
        """Start all processes, and do not wait for them.

        Raises:
            StackError: It is up already, a port is taken, or the state folder cannot be written.
            InvalidInput: The departments or data cannot be used.
        """
        # Imported here: no other command needs what writes the data, and that takes a second to import.
        from local.preparation import prepare

        if self.is_up:
            raise StackError(
                f"a stack is up already with the state folder {self.state.path}; stop it: tools/uv run local down"
            )
        if self._frontends and not FRONTEND_PYTHON.is_file():
            raise StackError("the frontend's packages are not installed; install them: make frontend")
        self._supervisor.stop()
        check_ports(self.addresses)
        try:
            self.state.path.mkdir(parents=True, exist_ok=True)
            departments = prepare(self.state, self.addresses, self._departments, self._data)
            self.state.write(
                StackFile(port=self.addresses.first_port, departments=departments, frontends=self._frontends)
            )
        except OSError as error:
            raise StackError(
                f"{error.filename}: {error.strerror}. The state folder is {self.state.path}; "
                "choose another by LOCAL_STATE=<folder>"
            ) from error
        self._supervisor.start(self.services, restart=self._restart, settings=self._settings)

    def wait(self, on_ready: Callable[[Service, float], None] | None = None, seconds: float = START_SECONDS) -> None:
        """Wait until every process is ready.

        Args:
            on_ready: Is told of each as it becomes ready, and the seconds that it took.
            seconds: How long to wait for all of them.

        Raises:
            StackError: One ended, or was not ready in time; the message has the end of its log.
        """
        begin = time.monotonic()
        missing = list(self.services)
        pids: dict[str, int] = {}
        while missing:
            for service in [each for each in missing if is_ready(each)]:
                missing.remove(service)
                if on_ready:
                    on_ready(service, time.monotonic() - begin)
            late = time.monotonic() - begin > seconds
            ended = self._ended(pids)
            for service in missing:
                if late or service.name in ended:
                    why = "ended" if service.name in ended else f"was not ready after {seconds:.0f} s"
                    raise StackError(
                        f"{service.name} {why}. The end of {self.log(service.name)}:\n{self._end_of(service)}"
                    )
            # What is starting needs the processors more.
            time.sleep(0.3)

    def _ended(self, pids: dict[str, int]) -> set[str]:
        """The processes that ended, also those that were started again since `pids` were noted."""
        processes = self._supervisor.processes() or []
        ended = {each.name for each in processes if each.has_failed or pids.get(each.name, each.pid) != each.pid}
        pids.update({each.name: each.pid for each in processes if each.pid})
        return ended

    def _end_of(self, service: Service) -> str:
        text = last_lines(self.log(service.name))
        answer = _answer(service.ready_url)
        return f"{text}\n{service.ready_url} says: {answer}" if answer else text

    def stop(self) -> int:
        """Stop everything, whatever is left of it; returns how many processes there were."""
        return self._supervisor.stop()

    @property
    def is_up(self) -> bool:
        """Whether the stack was started and not stopped."""
        return self._supervisor.processes() is not None

    @property
    def services(self) -> list[Service]:
        """All processes, in order."""
        stack = self.state.read()
        departments, frontends = (stack.departments, stack.frontends) if stack else ([], 0)
        return describe(self.state, self.addresses, departments, frontends)

    @property
    def supervisor(self) -> Supervisor:
        """What keeps the processes."""
        return self._supervisor

    def pid(self, service: str) -> int:
        """The process identifier of a service; 0 while it is not running."""
        return self._supervisor.process(service).pid

    def log(self, service: str) -> Path:
        """The log of a service."""
        return self.state.logs / f"{service}.log"

    def kill(self, service: str) -> None:
        """Kill a service as `kill -9` does, and wait until it is gone."""
        pid = self.pid(service)
        self._supervisor.signal_process(service, "KILL")
        wait_for(lambda: self.pid(service) != pid, seconds=5)

    def stop_service(self, service: str) -> None:
        """Ask a service to stop, and wait until it has."""
        self._supervisor.stop_process(service)

    def start_service(self, service: str, *, wait: bool = True) -> None:
        """Start a service that was killed or stopped, and wait until it is ready.

        Raises:
            StackError: It did not get ready.
        """
        self._supervisor.start_process(service)
        found = next(each for each in self.services if each.name == service)
        if wait and not wait_for(lambda: is_ready(found), seconds=START_SECONDS):
            raise StackError(f"{service} did not get ready. The end of its log:\n{self._end_of(found)}")

    def token(self, user: str) -> str:
        """An access token of a demo user.

        Raises:
            StackError: There is no such user, or the stack is not up.
        """
        body = {
            "ClientId": names.PUBLIC_CLIENT,
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": user, "PASSWORD": names.PASSWORD},
        }
        headers = {
            "x-amz-target": "AWSCognitoIdentityProviderService.InitiateAuth",
            "content-type": "application/x-amz-json-1.1",
            # moto takes the region from the signature; InitiateAuth needs none, so nothing is signed.
            "authorization": f"AWS4-HMAC-SHA256 Credential=local/20260101/{names.REGION}/cognito-idp/aws4_request",
        }
        request = urllib.request.Request(self.addresses.aws, json.dumps(body).encode(), headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return str(json.load(response)["AuthenticationResult"]["AccessToken"])
        except URLError as error:
            raise StackError(
                f"no token for '{user}' ({error}); is the stack ready? See: tools/uv run local status"
            ) from error

    def authorization(self, user: str) -> dict[str, str]:
        """Headers of a request by a demo user."""
        return {"authorization": f"Bearer {self.token(user)}"}

    def role_credentials(self, role: str) -> dict[str, str]:
        """Credentials of an IAM role that the on-premises user assumes, as the environment of an AWS SDK has them."""
        # Imported here: nothing else of the commands needs boto3, which takes a while to import.
        from local.aws.seed import assume_role

        return assume_role(self.addresses.aws, role)

    def environment(self) -> dict[str, str]:
        """What `local env` exports."""
        queue = f"{self.addresses.aws}/{names.ACCOUNT}/{names.JOBS_QUEUE}"
        return {
            "FILEPROC_URL": self.addresses.api,
            "FILEPROC_APP_URL": self.addresses.app,
            **aws_environment(self.addresses),
            "FILES_BUCKET": names.FILES_BUCKET,
            "DEPARTMENT_DATA_BUCKET": names.DATA_BUCKET,
            "JOBS_QUEUE_URL": queue,
            "JOBS_TABLE": names.JOBS_TABLE,
            "EXCHANGES_TABLE": names.EXCHANGES_TABLE,
            "COGNITO_POOL_ID": names.POOL,
            "COGNITO_PUBLIC_CLIENT_ID": names.PUBLIC_CLIENT,
        }


def is_ready(service: Service) -> bool:
    """Whether a process says that it can do its work."""
    try:
        with urllib.request.urlopen(service.ready_url, timeout=5):  # noqa: S310 - our own address
            return True
    except (OSError, HTTPException):  # no answer, or one that is not HTTP
        return False


def _answer(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own address
            return str(response.read(1000).decode(errors="replace"))
    except URLError as error:
        body = getattr(error, "read", None)
        return body(1000).decode(errors="replace") if body else None
    except (OSError, HTTPException):
        return None


def check_ports(addresses: Addresses) -> None:
    """See that nobody else uses the stack's ports.

    Raises:
        StackError: One is taken.
    """
    for offset in range(BLOCK):
        if not is_free(addresses.port(offset)):
            raise StackError(
                f"port {addresses.port(offset)} is taken by another program; the stack needs "
                f"{addresses.first_port} to {addresses.port(BLOCK - 1)}. Choose others by LOCAL_PORT=<first port>"
            )


def is_free(port: int) -> bool:
    """Whether a server could listen on a port of this machine."""
    with socket.socket() as listener:
        # As servers do: a port whose connections are merely not forgotten yet is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True


def free_block() -> int:
    """The first of 50 free ports, below those that the system gives to clients."""
    outgoing = outgoing_ports()
    blocks = [first for first in range(10_000, 20_000, BLOCK) if not conflict(first, outgoing)]
    random.shuffle(blocks)
    for first in blocks:
        if all(is_free(first + offset) for offset in range(BLOCK)):
            return first
    raise StackError("there are no 50 free ports in a row between 10000 and 20000")
