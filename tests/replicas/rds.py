"""Who judges passwords in the place of RDS: a password is a request to connect, signed by the pod's IAM role.

PostgreSQL asks by LDAP, which it speaks by itself: a simple bind carries the user and the password (RFC 4511, 4.2).
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
"""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from tests.replicas.ber import decode, encode

from local import names

BIND, BIND_ANSWER, SUCCESS, INVALID_CREDENTIALS = 0x60, 0x61, 0, 49
LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Login:
    """A connection that was asked for.

    Attributes:
        why: Why it was refused; empty where it was not.
    """

    user: str
    token: str
    why: str

    @property
    def query(self) -> dict[str, str]:
        """What the token says."""
        return dict(parse_qsl(urlsplit(f"//{self.token}").query))

    @property
    def signed_at(self) -> datetime:
        """When the token was made."""
        return _time(self.query["X-Amz-Date"])


class Judge:
    """Knows the pod's credentials, and the database that it speaks for."""

    def __init__(self, credentials: Credentials) -> None:
        """Every login is noted."""
        self.credentials = credentials
        self.logins: list[Login] = []
        self.port = 0
        self.database_port = 0

    def judge(self, user: str, token: str) -> bool:
        """Whether a password counts."""
        why = self._refusal(user, token)
        self.logins.append(Login(user, token, why))
        return not why

    def _refusal(self, user: str, token: str) -> str:
        where = urlsplit(f"//{token}")
        query = dict(parse_qsl(where.query, keep_blank_values=True))
        try:
            signed_at, lifetime = _time(query["X-Amz-Date"]), timedelta(seconds=int(query["X-Amz-Expires"]))
            signature = query.pop("X-Amz-Signature")
        except (KeyError, ValueError):
            return "not a presigned request"
        if (where.hostname, where.port) != ("localhost", self.database_port):
            return f"for another database: {where.netloc}"
        if (query.get("Action"), query.get("DBUser")) != ("connect", user):
            return "for another user, or not to connect"
        if lifetime > LIFETIME or not timedelta(seconds=-60) < datetime.now(UTC) - signed_at < lifetime:
            return "its time is over"
        scope = f"{self.credentials.access_key}/{query['X-Amz-Date'][:8]}/{names.REGION}/rds-db/aws4_request"
        if query.get("X-Amz-Credential") != scope:
            return f"signed for {query.get('X-Amz-Credential')}"
        return "" if signature == self._signature(where.netloc, where.query, query["X-Amz-Date"]) else "wrong signature"

    def _signature(self, host: str, query: str, date: str) -> str:
        unsigned = "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))
        request = AWSRequest("GET", f"https://{host}/?{unsigned}", {"host": host})
        request.context["timestamp"] = date
        signer = SigV4QueryAuth(self.credentials, "rds-db", names.REGION)
        return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


@contextmanager
def judging(judge: Judge) -> Iterator[Judge]:
    """Answer binds on a port of loopback, until the end."""

    class Answer(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while (message := decode(self.rfile)) is not None:
                number, request = message.children[:2]
                if request.tag != BIND:
                    return
                _, name, password = request.children
                user = name.content.decode().removeprefix("uid=")
                code = SUCCESS if judge.judge(user, password.content.decode()) else INVALID_CREDENTIALS
                result = encode(0x0A, bytes([code])) + encode(0x04) + encode(0x04)
                self.wfile.write(encode(0x30, encode(0x02, number.content) + encode(BIND_ANSWER, result)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        judge.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield judge
        finally:
            server.shutdown()
            thread.join()
