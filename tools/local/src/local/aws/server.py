"""The process that stands in for AWS: moto's application on a threaded server, seeded before it is ready."""

import gc
import hashlib
import io
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

from moto.cognitoidp import models as cognito_models
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response

from common.settings import load_settings
from local.aws.network import make_network
from local.aws.objects import ObjectStreams, install
from local.aws.pod_identity import PodIdentityAssociations
from local.aws.seed import seed
from local.aws.signatures import VerifiedPresignedS3, VerifiedSts
from local.settings import AwsSettings

LARGE = 1 << 20
PRIORITY = -10
"""Ahead of the services: AWS is not slower when this machine is busy, and they wait as long as suits AWS."""


class Handler(MotoRequestHandler):
    """Keeps connections open, answers at once, and is silent about it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # header and body are two writes, and the second would wait for an acknowledgement

    def make_environ(self) -> dict[str, Any]:
        """The request, its body read at once: werkzeug joins it from small pieces, at half the speed."""
        environ = super().make_environ()
        if length := environ.get("CONTENT_LENGTH"):
            environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(length)))
            environ["wsgi.input_terminated"] = True
        return environ

    def run_wsgi(self) -> None:
        """Answer. A large body is part of a cycle of moto's objects, and would stay until Python looks for those."""
        super().run_wsgi()
        if int(self.environ.get("CONTENT_LENGTH") or 0) > LARGE:
            self.environ.clear()
            gc.collect()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: each service logs its own calls."""


class AtomicDynamoDb:
    """In front of moto's application: one DynamoDB call at a time, so that a conditional write is atomic as on AWS."""

    def __init__(self, app: Any) -> None:
        """`app` answers."""
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """A WSGI application."""
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            answer: Iterable[bytes] = self._app(environ, start_response)
            return answer
        with self._lock:
            return list(self._app(environ, start_response))


class Readiness:
    """In front of moto's application: `/readyz` answers. The seed is complete before anyone can ask."""

    def __init__(self, app: Any) -> None:
        """`app` answers all else."""
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        """A WSGI application."""
        if environ["PATH_INFO"] != "/readyz":
            return self._app(environ, start_response)
        return Response("ok")(environ, start_response)


def readable_id(_: str | None, *parts: Any) -> str:
    """In place of moto's random identifiers: a pool's or client's own name, so that it is known before it is made."""
    extended_config = parts[2] or {}
    if isinstance(parts[1], str):
        return parts[1]
    return str(extended_config.get("ClientName") or hashlib.sha256(repr(parts).encode()).hexdigest())


def create_app() -> Any:
    """moto, and what it leaves out, as one WSGI application."""
    install()
    cast("Any", cognito_models).generate_id = readable_id
    moto = DomainDispatcherApplication(create_backend_app)
    return Readiness(AtomicDynamoDb(VerifiedSts(VerifiedPresignedS3(PodIdentityAssociations(ObjectStreams(moto))))))


@contextmanager
def serving(app: Any, port: int) -> Iterator[BaseWSGIServer]:
    """Serve `app` on a port (0: any that is free) for as long as the context lasts."""
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def main() -> None:
    """Serve until the process is stopped."""
    settings = load_settings(AwsSettings)
    with suppress(PermissionError):  # only root may
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
    app = create_app()
    # By a port of its own: nobody who asks at the real one finds anything half made.
    with serving(app, 0) as server:
        url = f"http://127.0.0.1:{server.port}"
        seed(url, settings.departments_dir, settings.data_dir, settings.app_url, settings.api_url)
        if settings.vpc_name:
            make_network(url, settings.vpc_name, settings.target_groups)
    gc.freeze()  # what is there by now stays, so that a later look for cycles is quick
    with serving(app, settings.aws_port):
        signal.pause()  # SIGTERM ends it at once: there is nothing to keep
