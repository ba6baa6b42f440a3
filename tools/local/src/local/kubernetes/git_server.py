"""A Git server on this machine, which answers for the repository's address on the internet too.

- `http://127.0.0.1:PORT/<name>.git`: for people, who push and clone (smart HTTP, by `git http-backend`).
- `CONNECT host:443` on the same port: for Argo CD, which has this server as the repository's proxy, and so needs no
  other address than the one in Git. Whatever host it asks for, it gets this server.

After a push it posts GitHub's webhook to Argo CD, as GitHub does.
"""

import asyncio
import json
import logging
import re
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from local.addresses import HOST
from local.kubernetes.certificate import CERTIFICATE, KEY, write_certificate

logger = logging.getLogger("local.git")
MAX_PUSH = 256 << 20
PIECE = 1 << 16
NO_COMMIT = "0" * 40
ADDRESS = re.compile(r"/(?:.*/)?(?P<repository>[\w.-]+\.git)/(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class GitServer:
    """Serves bare repositories.

    Attributes:
        folder: Has the repositories, `<name>.git`.
        webhooks: Where pushes are told.
        homepage: The repository's page, by which the receiver of a webhook knows it.
    """

    folder: Path
    webhooks: Sequence[str]
    homepage: str

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request as `git http-backend` says."""
        asked = ADDRESS.fullmatch(request.path)
        if not asked or not (self.folder / asked["repository"]).is_dir():
            return web.Response(status=404, text=f"there is no repository at {request.path}\n")
        bare, rest = asked["repository"], asked["rest"]
        body = await request.read()
        before = await self._main(bare)
        answer = await self._backend(request, f"/{bare}/{rest}", body)
        if request.method == "POST" and rest == "git-receive-pack":
            after = await self._main(bare)
            if after != before:
                logger.info("main was pushed: %s", after)
                await asyncio.gather(*(self._tell(url, before, after) for url in self.webhooks))
        return answer

    async def _backend(self, request: web.Request, path: str, body: bytes) -> web.Response:
        environment = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PATH_INFO": path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "REMOTE_ADDR": HOST,
            "REMOTE_USER": "local",
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
        }
        process = await asyncio.create_subprocess_exec(
            *("git", "http-backend"),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(body)
        head, _, content = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0]) if head else 500
        return web.Response(status=status, headers=headers, body=content)

    async def _main(self, repository: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *("git", f"--git-dir={self.folder / repository}", "rev-parse", "--verify", "--quiet", "refs/heads/main"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        return output.decode().strip() or NO_COMMIT

    async def _tell(self, url: str, before: str, after: str) -> None:
        event = {
            "ref": "refs/heads/main",
            "before": before,
            "after": after,
            "repository": {"html_url": self.homepage, "default_branch": "main"},
            "commits": [],
        }
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
                session.post(url, json=event, headers={"X-GitHub-Event": "push"}) as response,
            ):
                if not response.ok:
                    logger.warning("%s answered %s: %s", url, response.status, await response.text())
        except (aiohttp.ClientError, TimeoutError) as error:
            logger.warning("%s was not told of the push: %r", url, error)


async def serve(server: GitServer, port: int) -> None:
    """Serve until cancelled: plain HTTP and CONNECT on `port`, TLS on a port that only CONNECT leads to."""
    app = web.Application(client_max_size=MAX_PUSH)
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    write_certificate(server.folder, urlsplit(server.homepage).hostname or HOST)
    context.load_cert_chain(server.folder / CERTIFICATE, server.folder / KEY)
    plain, secure = web.TCPSite(runner, HOST, 0), web.TCPSite(runner, HOST, 0, ssl_context=context)
    await plain.start()
    await secure.start()
    behind = [address[1] for address in runner.addresses]

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            connects = head.startswith(b"CONNECT ")
            there_reader, there_writer = await asyncio.open_connection(HOST, behind[1 if connects else 0])
            if connects:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                there_writer.write(head)
            await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            writer.close()

    try:
        async with await asyncio.start_server(accept, HOST, port) as listener:
            await listener.serve_forever()
    finally:
        await runner.cleanup()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(PIECE):
            target.write(data)
            await target.drain()
    finally:
        target.close()


def main() -> None:
    """`python -m local.kubernetes.git_server CONFIGURATION`, which is JSON."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = json.loads(sys.argv[1])
    server = GitServer(Path(settings["folder"]), settings["webhooks"], settings["homepage"])
    asyncio.run(serve(server, settings["port"]))


if __name__ == "__main__":
    main()
