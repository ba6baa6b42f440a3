"""Kubernetes' questions: is it alive, can it do its work."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from application.aws.readiness import Readiness
from common.service_tokens import ServiceTokenVerifier

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
async def alive() -> Response:
    """It answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
async def ready(request: Request) -> Response:
    """Bucket, queue and table answer, and callers' tokens can be verified."""
    readiness: Readiness = request.app.state.readiness
    verifier: ServiceTokenVerifier = request.app.state.verifier
    if not verifier.keys.loaded:
        await verifier.keys.refresh()
    details = {**await readiness.details(), "cluster": "ok" if verifier.keys.loaded else "its keys cannot be had"}
    return JSONResponse(details, 200 if set(details.values()) == {"ok"} else 503)
