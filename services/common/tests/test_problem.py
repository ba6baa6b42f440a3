import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from common.problem import Problem, install_problem_handlers


async def refuse(_: Request) -> Response:
    raise Problem(422, "ragged-row", "A row is too short", "Row 3 has 2 cells; the header has 4.", row=3, column=None)


async def break_down(_: Request) -> Response:
    raise RuntimeError("the password is hunter2")


app = Starlette(routes=[Route("/refuse", refuse), Route("/break", break_down)])
install_problem_handlers(app)


async def get(path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path)


async def test_a_problem_is_told_in_full_as_rfc_9457_says() -> None:
    response = await get("/refuse")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": "urn:fileproc:problem:ragged-row",
        "title": "A row is too short",
        "status": 422,
        "detail": "Row 3 has 2 cells; the header has 4.",
        "row": 3,
    }


async def test_what_is_unforeseen_is_told_without_details() -> None:
    response = await get("/break")
    assert response.status_code == 500
    assert response.headers["connection"] == "close"
    assert response.json()["type"] == "urn:fileproc:problem:internal-error"
    assert "hunter2" not in response.text


async def test_a_path_that_is_not_there_is_a_problem_too() -> None:
    response = await get("/nothing")
    assert response.status_code == 404
    assert response.json()["type"] == "urn:fileproc:problem:not-found"
    assert response.json()["detail"] == "There is nothing at this path."
