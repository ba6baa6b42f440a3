"""The list of what is reachable behind the gateway: the contract's paths, and nothing else."""

import re

from agentgateway.http.errors import method_not_allowed, not_found

ROUTES = {
    "/api/files": ("GET", "POST"),
    "/api/files/{id}": ("GET", "DELETE"),
    "/api/uploads": ("GET", "POST"),
    "/api/uploads/{id}": ("DELETE",),
    "/api/uploads/{id}/complete": ("POST",),
    "/api/preview": ("POST",),
    "/api/jobs": ("GET", "POST"),
    "/api/jobs/{id}": ("GET", "DELETE"),
    "/api/jobs/{id}/events": ("GET",),
    "/api/jobs/{id}/retry": ("POST",),
    "/api/jobs/{id}/result": ("GET", "HEAD"),
    "/api/jobs/{id}/report": ("GET",),
    "/api/jobs/{id}/misses": ("GET",),
    "/api/jobs/{id}/review": ("POST",),
    "/api/recipes": ("GET",),
    "/api/recipes/{id}": ("GET", "PUT", "DELETE"),
    "/api/recipes/{id}/groups": ("PUT",),
    "/api/departments": ("GET",),
    "/api/openapi.json": ("GET",),
}
_ID = "[A-Za-z0-9_-]{1,128}"
_COMPILED = [(re.compile(path.replace("{id}", _ID)), path, methods) for path, methods in ROUTES.items()]


def route_of(method: str, path: str) -> str:
    """The route, such as `GET /api/jobs/{id}`, that a request takes.

    A path that matches consists of letters, digits, `_`, `-` and `/` alone: it means the same to everyone who reads it.

    Raises:
        Problem: 404 for a path that is not on the list, 405 for a method that its path does not have.
    """
    for pattern, route, methods in _COMPILED:
        if pattern.fullmatch(path):
            if method not in methods:
                raise method_not_allowed(methods)
            return f"{method} {route}"
    raise not_found()
