import asyncio
import gzip
import hashlib
import socket

import httpx2
import psutil
import pytest
from tools.local.tests.conftest import Edge
from tools.local.tests.stub_gateway import PIECE, StubGateway, pieces
from tools.local.tests.test_edge_app import headers_of

pytestmark = pytest.mark.slow

MIB = 1 << 20


async def test_a_request_goes_through_as_it_is(browser: httpx2.AsyncClient, edge: Edge) -> None:
    headers = {
        "authorization": "Bearer x",
        "x-forwarded-for": "203.0.113.7",
        "cookie": "a=b",
        "x-amzn-oidc-data": "own",
    }
    response = await browser.request(
        "PATCH", f"{edge.api}/api/a%2Fb/%C3%A9?q=1&q=%20", content=b"body", headers=headers
    )
    said, found = response.json(), headers_of(response)
    assert (said["method"], said["path"], said["body"]) == ("PATCH", "/api/a%2Fb/%C3%A9?q=1&q=%20", "body")
    assert (found["authorization"], found["cookie"]) == (["Bearer x"], ["a=b"])
    assert found["host"] == [edge.api.removeprefix("http://")]
    assert found["x-forwarded-for"] == ["203.0.113.7, 127.0.0.1"]
    assert found["x-forwarded-proto"] == ["http"]
    assert found["x-amzn-trace-id"][0].startswith("Root=1-")
    assert found["content-length"] == ["4"]


async def test_a_compressed_body_stays_compressed(browser: httpx2.AsyncClient, edge: Edge) -> None:
    content = gzip.compress(b"x" * MIB)
    headers = {"content-encoding": "gzip", "content-length": str(len(content))}
    said = (await browser.put(f"{edge.api}/digest", content=content, headers=headers)).json()
    assert said == {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "framing": str(len(content))}


async def test_an_answer_goes_through_as_it_is(browser: httpx2.AsyncClient, edge: Edge) -> None:
    response = await browser.get(f"{edge.api}/")
    assert response.status_code == 207
    assert response.headers.get_list("x-answer") == ["1", "2"]
    assert "x-private" not in response.headers


async def test_headers_that_are_for_this_hop_stay_here(browser: httpx2.AsyncClient, edge: Edge) -> None:
    headers = {"connection": "keep-alive, x-secret", "x-secret": "hop", "te": "trailers", "keep-alive": "5"}
    found = headers_of(await browser.get(f"{edge.api}/", headers=headers))
    assert not {"x-secret", "te", "keep-alive"} & set(found)


async def test_events_come_at_once(browser: httpx2.AsyncClient, edge: Edge, gateway: StubGateway) -> None:
    async with browser.stream("GET", f"{edge.api}/events") as response:
        lines = response.aiter_lines()
        assert await anext(lines) == "data: first"
        gateway.go_on.set()
        assert [line async for line in lines if line] == ["data: second"]


@pytest.mark.parametrize("framing", ["chunked", str(3 * MIB)])
async def test_a_body_keeps_its_framing(browser: httpx2.AsyncClient, edge: Edge, framing: str) -> None:
    headers = {} if framing == "chunked" else {"content-length": framing}
    said = (await browser.put(f"{edge.api}/digest", content=pieces(3), headers=headers)).json()
    assert said == {"size": 3 * MIB, "sha256": hashlib.sha256(PIECE * 3).hexdigest(), "framing": framing}


async def test_half_an_answer_does_not_look_like_a_whole_one(browser: httpx2.AsyncClient, edge: Edge) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        await browser.get(f"{edge.api}/broken")


async def test_an_answer_before_the_end_of_the_body(browser: httpx2.AsyncClient, edge: Edge) -> None:
    response = await browser.put(f"{edge.api}/refuse", content=pieces(2))
    assert (response.status_code, response.text) == (413, "too large")


async def test_a_header_beyond_the_limit_is_refused(browser: httpx2.AsyncClient, edge: Edge) -> None:
    assert (await browser.get(f"{edge.api}/", headers={"x-large": "x" * MIB})).status_code == 400
    assert (await browser.get(f"{edge.api}/", headers={"x-large": "x" * 8_000})).status_code == 207


async def test_a_target_that_is_no_path_is_refused(edge: Edge) -> None:
    host, port = edge.api.removeprefix("http://").split(":")
    for target in ("@127.0.0.1:9/", "http://127.0.0.1:9/"):
        reader, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
        writer.write(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
        assert answer.split(b" ")[1] == b"400"


@pytest.mark.slow
async def test_large_bodies_pass_in_constant_memory(browser: httpx2.AsyncClient, edge: Edge) -> None:
    async def pass_both_ways(count: int) -> None:
        said = (await browser.put(f"{edge.api}/digest", content=pieces(count))).json()
        assert said["size"] == count * MIB
        async with browser.stream("GET", f"{edge.api}/download?mib={count}") as response:
            assert sum([len(piece) async for piece in response.aiter_raw()]) == count * MIB

    await pass_both_ways(8)
    before = psutil.Process(edge.process.pid).memory_info().rss
    await pass_both_ways(300)
    assert psutil.Process(edge.process.pid).memory_info().rss - before < 32 * MIB
