"""The gateway's view of the application: a service token, a caller, HTTP."""

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import urllib3
from services.application.tests.support.stack import Stack, wait_until

from common.caller import CALLER_HEADER, Caller

POOL = urllib3.PoolManager(retries=False, maxsize=32, timeout=60)


@dataclass
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        """What kind of problem it is; fails where it is none."""
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body[:200])
        document = self.json()
        assert document["status"] == self.status
        assert document["title"]
        assert document["detail"]
        return str(document["type"]).removeprefix("urn:fileproc:problem:")


@dataclass
class Client:
    stack: Stack
    groups: tuple[str, ...]
    subject: str = field(default_factory=lambda: uuid.uuid4().hex)

    def with_groups(self, *groups: str) -> "Client":
        return Client(self.stack, groups, self.subject)

    def headers(self) -> dict[str, str]:
        caller = Caller(self.subject, "somebody", frozenset(self.groups), "cognito")
        token = self.stack.platform.cluster.keys[-1].sign()
        return {"authorization": f"Bearer {token}", CALLER_HEADER: caller.to_header()}

    def call(
        self,
        method: str,
        path: str,
        body: bytes | Iterable[bytes] | None = None,
        *,
        document: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = {**self.headers(), **(headers or {})}
        if document is not None:
            body, sent["content-type"] = json.dumps(document).encode(), "application/json"
        answer = POOL.request(method, f"{self.stack.url}{path}", body=body, headers=sent)
        return Answer(answer.status, answer.headers, answer.data)

    def upload(self, content: bytes, name: str = "data.csv") -> str:
        answer = self.call("POST", f"/api/files?name={name}", content)
        assert answer.status == 201, answer.body
        return str(answer.json()["id"])

    def submit(self, file: str, **wanted: Any) -> str:
        answer = self.call("POST", "/api/jobs", document={"file": file, **wanted})
        assert answer.status == 202, answer.body
        return str(answer.json()["id"])

    def job(self, job: str) -> dict[str, Any]:
        answer = self.call("GET", f"/api/jobs/{job}")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def wait(self, job: str, *statuses: str, seconds: float = 30) -> dict[str, Any]:
        wanted = statuses or ("succeeded", "failed", "cancelled")

        def reached() -> dict[str, Any] | None:
            found = self.job(job)
            return found if found["status"] in wanted else None

        return dict(wait_until(reached, seconds, f"{job} becoming {' or '.join(wanted)}"))

    def result(self, job: str) -> bytes:
        answer = self.call("GET", f"/api/jobs/{job}/result")
        assert answer.status == 200, answer.body
        return answer.body
