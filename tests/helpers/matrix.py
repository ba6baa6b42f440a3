"""Every question that a caller can ask about every column, on every interface; and what must not be in the answers."""

import asyncio
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from tests.helpers.canaries import Canaries
from tests.helpers.data import DataSet, json_value
from tests.helpers.files import FORMATS, make_file
from tests.helpers.rest import Answer, Rest, bearer
from tests.helpers.stack import Stack
from tests.helpers.wire import Era, Wire, message, refused

MADE_UP = "nosuch"
"""A name that nothing has: what may not be seen must be answered as this is."""

AT_ONCE = 12
CHANGING = re.compile(r'"id":\s*(\d+|null)')
UNKNOWN_KEYS = {"V": "V-99999", "E": "E-99999", "C": "C-99999", "Z": "ZQ-9999", "T": "T-9999", "L": "L-9999"}


@dataclass
class Findings:
    """What was wrong, and how many combinations were looked at, by interface."""

    wrong: list[str] = field(default_factory=list)
    checked: Counter[str] = field(default_factory=Counter)

    def summary(self) -> str:
        """One line for each interface."""
        lines = [f"  {count:6,} {interface}" for interface, count in sorted(self.checked.items())]
        return "\n".join([f"{sum(self.checked.values()):,} combinations checked:", *lines])


@dataclass(frozen=True)
class Probe:
    """One question. `word` is the name in it that decides whether it may be answered."""

    interface: str
    user: str
    word: str
    allowed: bool
    ask: Callable[[str], Awaitable[Answer]]
    said: str
    verify: Callable[[Answer], bool] = lambda _: True

    def __str__(self) -> str:
        return f"{self.interface} as {self.user}: {self.word} in {self.said[:200]}"


class World:
    """A stack, what is in it, and the ways to ask."""

    def __init__(
        self, stack: Stack, session: aiohttp.ClientSession, canaries: Canaries, url: str | None = None
    ) -> None:
        """`url` is where the questions go, if not to the stack's own edge."""
        self.stack = stack
        self.session = session
        self.canaries = canaries
        self.url = url or stack.api
        self.tools: dict[str, Mapping[str, Any]] = {}
        self.resources: set[str] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._refusals: dict[tuple[str, str, bool], set[tuple[int, str]]] = {}

    @property
    def data_sets(self) -> Sequence[DataSet]:
        """All of them."""
        return self.canaries.data_sets

    @property
    def departments(self) -> dict[str, DataSet]:
        """One data set of each department."""
        return {data_set.department: data_set for data_set in self.data_sets}

    def rest(self, user: str) -> Rest:
        """REST for programs."""
        return Rest(self.session, self.url, bearer(self.stack.tokens[user]))

    def browser(self, user: str) -> Rest:
        """REST for pages, as the load balancer passes it on."""
        headers = {
            "x-amzn-oidc-accesstoken": self.stack.tokens[user],
            "Origin": self.stack.app,
            "Sec-Fetch-Site": "same-origin",
        }
        return Rest(self.session, f"{self.stack.gateway}/gateway", headers)

    def wire(self, user: str, endpoint: str, era: Era) -> Wire:
        """MCP."""
        return Wire(self.session, f"{self.url}{endpoint}", bearer(self.stack.tokens[user]), era)

    async def discover(self, users: Sequence[str]) -> None:
        """Learn every tool and resource that one of `users` may see, to ask for it as everybody."""
        for user in users:
            wire = self.wire(user, "/mcp", "modern")
            for tool in message(await wire.call("tools/list"))["result"]["tools"]:
                self.tools.setdefault(tool["name"], tool["inputSchema"])
                for name, data_set in self.departments.items():
                    if tool["name"].startswith(data_set.prefix):
                        names = self.canaries.arguments.setdefault(name, set())
                        names |= set(tool["inputSchema"].get("properties", ()))
            for resource in message(await wire.call("resources/list"))["result"]["resources"]:
                self.resources.add(resource["uri"])

    async def check(self, probes: Iterator[Probe], findings: Findings) -> None:
        """Ask all of `probes`."""

        async def one(probe: Probe) -> None:
            async with self._room:
                findings.wrong += await self._wrong(probe)
                findings.checked[probe.interface] += 1

        await asyncio.gather(*(one(probe) for probe in probes))

    async def _wrong(self, probe: Probe) -> list[str]:
        answer = await probe.ask(probe.word)
        wrong = [f"{probe}: leaks {leak}" for leak in self.leaks(probe.user, answer, probe.said)]
        if answer.status >= 500:
            wrong.append(f"{probe}: {answer.status} {answer.body[:300]!r}")
        elif probe.allowed:
            if is_refused(answer):
                wrong.append(f"{probe}: refused, though allowed: {answer.status} {answer.body[:300]!r}")
            elif not probe.verify(answer):
                wrong.append(f"{probe}: not what the data says: {answer.body[:600]!r}")
        elif not is_refused(answer):
            wrong.append(f"{probe}: answered, though not allowed: {answer.body[:300]!r}")
        else:
            # What does not exist is answered alike for each question of a kind: it is asked for when an answer is new.
            qualified = "." in probe.word
            known = self._refusals.setdefault((probe.interface, probe.user, qualified), set())
            if normal(answer, probe.word) not in known:
                made_up = f"{MADE_UP}.{MADE_UP}" if qualified else MADE_UP
                twin = await probe.ask(made_up)
                known.add(normal(twin, made_up))
                if normal(answer, probe.word) != normal(twin, made_up):
                    difference = f"{answer.body[:300]!r} / {twin.body[:300]!r}"
                    wrong.append(f"{probe}: differs from what does not exist: {difference}")
        return wrong

    def leaks(self, user: str, answer: Answer, said: str) -> set[str]:
        """What must not be in an answer, its headers included."""
        # A length is a number like the size of a data set, and says nothing.
        headers = "\n".join(value for name, value in answer.headers.items() if name != "Content-Length").encode()
        return self.canaries.leaks(user, headers, said) | self.canaries.leaks(user, answer.body, said)

    def rows(self) -> list[dict[str, str]]:
        """An input with keys of every data set: two that are known, and one that is not."""
        columns = {data_set.key: self.keys(data_set) for data_set in self.data_sets}
        return [{key: values[number] for key, values in columns.items()} for number in range(3)]

    def keys(self, data_set: DataSet) -> list[str]:
        """The keys that are asked for."""
        known = list(data_set.rows)
        return [known[0], known[min(7, len(known) - 1)], UNKNOWN_KEYS.get(known[0][0], "QQQ")]

    def values(self, data_set: DataSet, columns: Sequence[str]) -> list[dict[str, Any] | None]:
        """What a look-up of `keys` must give."""
        rows = [data_set.rows.get(key) for key in self.keys(data_set)]
        return [None if row is None else {name: json_value(row[name]) for name in columns} for row in rows]

    async def upload_all(self, user: str) -> dict[str, str]:
        """The input in every format, as this user's files."""
        rows = self.rows()
        return {
            extension: await self.rest(user).upload(f"input.{extension}", make_file(extension, rows))
            for extension in FORMATS
        }


NO_ONES = uuid.UUID(int=0).hex


def as_id(word: str) -> str:
    """An identifier that nobody has, of the form that identifiers have, in place of the made-up name."""
    return NO_ONES if word == MADE_UP else word


def short(endpoint: str) -> str:
    """An endpoint without the department's name."""
    return "/mcp" if endpoint == "/mcp" else "/mcp/{department}"


def is_refused(answer: Answer) -> bool:
    """Whether a question was not answered, whatever the interface."""
    if answer.status >= 400:
        return True
    return b'"jsonrpc"' in answer.body and refused(answer)


def normal(answer: Answer, word: str) -> tuple[int, str]:
    """An answer without what the caller said and what changes from request to request."""
    text = answer.body.decode("utf-8", "replace")
    for said in (word, as_id(word), *word.split(".")):
        if said:
            text = text.replace(said, "…")
    return answer.status, CHANGING.sub("", text)
