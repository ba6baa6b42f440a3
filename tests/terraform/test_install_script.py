"""The installer waits for kinds that the API server was just given; kubectl is real, the API server is stood in for."""

import json
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from local.kubernetes.tools import tool

pytestmark = pytest.mark.slow

ROOT: Final = Path(__file__).parents[2]
GROUP: Final = "apiextensions.k8s.io"
VERSION: Final = {"groupVersion": f"{GROUP}/v1", "version": "v1"}
KIND: Final = {"name": "customresourcedefinitions", "kind": "CustomResourceDefinition", "namespaced": False}
DISCOVERY: Final[dict[str, dict[str, Any]]] = {
    "/api": {"kind": "APIVersions", "versions": []},
    "/apis": {"kind": "APIGroupList", "groups": [{"name": GROUP, "versions": [VERSION], "preferredVersion": VERSION}]},
    f"/apis/{GROUP}/v1": {
        "kind": "APIResourceList",
        "groupVersion": f"{GROUP}/v1",
        "resources": [KIND | {"verbs": ["get", "list", "watch"]}],
    },
}
ESTABLISHED: Final = [{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}]


class ApiServer(BaseHTTPRequestHandler):
    """Serves definitions as they are in their first moments: each gets its conditions while somebody watches it."""

    established: set[str]

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        name = query.get("fieldSelector", address.path.rpartition("/")[2]).removeprefix("metadata.name=")
        if address.path in DISCOVERY:
            self._answer(DISCOVERY[address.path])
        elif "watch" in query:
            events = [
                {"type": "ADDED", "object": self._definition(name)},
                {
                    "type": "BOOKMARK",
                    "object": KIND
                    | {
                        "apiVersion": f"{GROUP}/v1",
                        "metadata": {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}},
                    },
                },
            ]
            self.established.add(name)
            self._answer(*events, {"type": "MODIFIED", "object": self._definition(name)})
        else:
            self._answer(self._definition(name))

    def _definition(self, name: str) -> dict[str, Any]:
        return {
            "apiVersion": f"{GROUP}/v1",
            "kind": KIND["kind"],
            "metadata": {"name": name, "uid": name, "resourceVersion": "1"},
            "status": {"conditions": ESTABLISHED if name in self.established else None},
        }

    def _answer(self, *documents: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        for document in documents:
            self.wfile.write(json.dumps(document).encode() + b"\n")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api_server() -> Iterator[ThreadingHTTPServer]:
    ApiServer.established = set()
    with ThreadingHTTPServer(("127.0.0.1", 0), ApiServer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_installer_waits_for_definitions_that_have_no_condition_yet(
    api_server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\n[ "$1" = apply ] || exec {tool("kubectl")} "$@"\n')
    kubectl.chmod(0o700)
    cluster = {"name": "new", "cluster": {"server": f"http://127.0.0.1:{api_server.server_port}"}}
    context = {"name": "new", "context": {"cluster": "new", "user": "new"}}
    kubeconfig = {"current-context": "new", "clusters": [cluster], "contexts": [context]}
    done = subprocess.run(
        [ROOT / "infra-terraform/bootstrap/install.sh"],
        env={
            "PATH": f"{tmp_path}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "KUBECONFIG_CONTENT": yaml.safe_dump(kubeconfig),
            "REPOSITORY": str(ROOT),
            "ENVIRONMENT": "dev",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ApiServer.established == {
        f"{kind}.argoproj.io" for kind in ("applications", "applicationsets", "appprojects")
    }
