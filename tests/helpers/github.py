"""As much of GitHub's REST API as our pipelines use, over HTTP on loopback; it refuses what GitHub refuses."""

import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from tests.helpers.clones import Clone

LIMIT = 65_536  # characters of a body
Answer = tuple[int, Any]


@dataclass
class GitHubStandIn:
    """One repository: its pull requests, comments, and workflows that were started."""

    name: str
    remote: Clone
    token: str = "a-token-of-the-job"
    pull_requests: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    started: list[tuple[str, str]] = field(default_factory=list)
    succeeded: list[tuple[str, str, str]] = field(default_factory=list)
    """Runs of workflows that succeeded for main: file, commit, event."""
    writes: list[str] = field(default_factory=list)
    may_write: bool = True

    def __enter__(self) -> Self:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                if self.headers.get("Authorization", "").split()[-1:] != [stand_in.token]:
                    status, content = 401, {"message": "Bad credentials"}
                else:
                    status, content = stand_in.answer(self.command, self.path, body)
                data = b"" if content is None else json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, method: str, path: str, body: dict[str, Any]) -> Answer:
        """The status and content of one request."""
        address = urlsplit(path)
        prefix = f"/repos/{self.name}"
        if not address.path.startswith(prefix):
            return 404, {"message": "Not Found"}
        rest = address.path.removeprefix(prefix)
        if method != "GET":
            if not self.may_write:
                return 403, {"message": "Resource not accessible by integration"}
            self.writes.append(f"{method} {rest}")
        if len(body.get("body") or "") > LIMIT:
            return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}
        routes = [
            (r"GET /pulls", self._list),
            (r"POST /pulls", self._open),
            (r"PATCH /pulls/(\d+)", self._edit),
            (r"GET /issues/(\d+)", self._issue),
            (r"GET /issues/(\d+)/comments", self._comments),
            (r"POST /issues/(\d+)/comments", self._comment),
            (r"PATCH /issues/comments/(\d+)", self._edit_comment),
            (r"GET /actions/workflows/([a-z.-]+)", self._workflow),
            (r"GET /actions/workflows/([a-z.-]+)/runs", self._runs),
            (r"POST /actions/workflows/([a-z.-]+)/dispatches", self._start),
        ]
        for pattern, route in routes:
            if found := re.fullmatch(pattern, f"{method} {rest}"):
                return route(found, body | {key: value[0] for key, value in parse_qs(address.query).items()})
        return 404, {"message": f"Not Found: {method} {rest}"}

    def _list(self, _: re.Match[str], asked: dict[str, Any]) -> Answer:
        branch = asked["head"].partition(":")[2]
        wanted = asked["state"], branch, asked["base"]
        requests = self.pull_requests.values()
        return 200, [each for each in requests if (each["state"], each["head"]["ref"], each["base"]["ref"]) == wanted]

    def _open(self, _: re.Match[str], body: dict[str, Any]) -> Answer:
        if not self.remote.git("branch", "--list", body["head"]):
            return 422, {"message": f"Validation Failed: head {body['head']} is no branch"}
        number = len(self.pull_requests) + 1
        self.pull_requests[number] = {
            "number": number,
            "state": "open",
            "title": body["title"],
            "body": body["body"],
            "head": {"ref": body["head"]},
            "base": {"ref": body["base"]},
            "url": f"{self.url}/repos/{self.name}/pulls/{number}",
            "html_url": f"https://github.com/{self.name}/pull/{number}",
        }
        return 201, self.pull_requests[number]

    def _edit(self, found: re.Match[str], body: dict[str, Any]) -> Answer:
        request = self.pull_requests[int(found[1])]
        request.update({key: body[key] for key in ("title", "body") if key in body})
        return 200, request

    def _issue(self, found: re.Match[str], _: dict[str, Any]) -> Answer:
        number = int(found[1])
        return 200, {"number": number, "url": f"{self.url}/repos/{self.name}/issues/{number}"}

    def _comments(self, found: re.Match[str], _: dict[str, Any]) -> Answer:
        return 200, [each for each in self.comments.values() if each["issue"] == int(found[1])]

    def _comment(self, found: re.Match[str], body: dict[str, Any]) -> Answer:
        identifier = len(self.comments) + 1
        url = f"{self.url}/repos/{self.name}/issues/comments/{identifier}"
        self.comments[identifier] = {"id": identifier, "issue": int(found[1]), "body": body["body"], "url": url}
        return 201, self.comments[identifier]

    def _edit_comment(self, found: re.Match[str], body: dict[str, Any]) -> Answer:
        self.comments[int(found[1])]["body"] = body["body"]
        return 200, self.comments[int(found[1])]

    def _workflow(self, found: re.Match[str], _: dict[str, Any]) -> Answer:
        if not self.remote.git("ls-tree", "main", f".github/workflows/{found[1]}"):
            return 404, {"message": "Not Found"}
        return 200, {"id": 1, "url": f"{self.url}/repos/{self.name}/actions/workflows/{found[1]}"}

    def _runs(self, found: re.Match[str], asked: dict[str, Any]) -> Answer:
        runs = [
            {"id": number, "event": event, "head_sha": commit}
            for number, (file, commit, event) in enumerate(self.succeeded)
            if (file, commit, "success", "main") == (found[1], asked["head_sha"], asked["status"], asked["branch"])
        ]
        return 200, {"total_count": len(runs), "workflow_runs": runs}

    def _start(self, found: re.Match[str], body: dict[str, Any]) -> Answer:
        self.started.append((found[1], body["ref"]))
        return 204, None
