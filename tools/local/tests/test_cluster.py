import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from jose import jwt

from common.caller import Caller
from common.service_tokens import (
    InvalidServiceToken,
    ServiceIdentitySettings,
    ServiceTokenSource,
    ServiceTokenVerifier,
    authenticate_service_request,
)
from local.cluster import ServiceAccountTokens, create_app, write_identities
from local.names import CLUSTER_ISSUER

ALICE = Caller("1", "alice", frozenset({"finance"}), "cognito")


class Cluster:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.tokens = ServiceAccountTokens(folder / "key.pem")

    def identity(self, account: str) -> ServiceIdentitySettings:
        return ServiceIdentitySettings(
            kubernetes_api_url=self.url,
            cluster_issuer=CLUSTER_ISSUER,
            service_account=account,
            service_account_token_file=self.folder / "tokens" / account,
        )

    def own_token(self, account: str) -> dict[str, str]:
        return {"authorization": f"Bearer {(self.folder / 'tokens' / account).read_text()}"}


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    write_identities(folder / "key.pem", folder / "tokens", ["agentgateway", "application"])
    async with TestServer(create_app(ServiceAccountTokens(folder / "key.pem"))) as server:
        yield Cluster(str(server.make_url("")).rstrip("/"), folder)


@pytest_asyncio.fixture(loop_scope="session")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as client:
        yield client


async def request_token(
    session: aiohttp.ClientSession,
    cluster: Cluster,
    headers: dict[str, str],
    account: str = "agentgateway",
    **spec: Any,
) -> tuple[int, dict[str, Any]]:
    url = f"{cluster.url}/api/v1/namespaces/file-processing/serviceaccounts/{account}/token"
    body = {"spec": {"audiences": ["application"], "expirationSeconds": 600} | spec}
    async with session.post(url, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_services_know_each_other_by_it(cluster: Cluster, session: aiohttp.ClientSession) -> None:
    source = ServiceTokenSource(cluster.identity("agentgateway"), session)
    verifier = ServiceTokenVerifier(
        cluster.identity("application"), session, audience="application", allowed_callers=frozenset({"agentgateway"})
    )
    headers = {"authorization": f"Bearer {await source.token('application')}", "x-caller": ALICE.to_header()}
    assert await authenticate_service_request(headers, verifier) == ALICE
    other = {**headers, "authorization": f"Bearer {await source.token('mcp-finance')}"}
    with pytest.raises(InvalidServiceToken):
        await authenticate_service_request(other, verifier)


async def test_a_token_lasts_as_long_as_asked(cluster: Cluster, session: aiohttp.ClientSession) -> None:
    status, body = await request_token(session, cluster, cluster.own_token("agentgateway"), expirationSeconds=1200)
    claims = jwt.get_unverified_claims(body["status"]["token"])
    assert (status, body["kind"], claims["aud"]) == (201, "TokenRequest", ["application"])
    assert claims["exp"] - claims["iat"] == 1200


async def test_an_account_gets_no_token_of_another(cluster: Cluster, session: aiohttp.ClientSession) -> None:
    status, body = await request_token(session, cluster, cluster.own_token("application"), "agentgateway")
    assert (status, body["kind"], body["reason"]) == (403, "Status", "Forbidden")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"audiences": []}, "audiences"),
        ({"expirationSeconds": 599}, "expirationSeconds"),
        ({"audiences": "x"}, "aud"),
    ],
)
async def test_what_a_cluster_refuses_is_refused(
    cluster: Cluster, session: aiohttp.ClientSession, spec: dict[str, Any], field: str
) -> None:
    status, body = await request_token(session, cluster, cluster.own_token("agentgateway"), **spec)
    assert (status, body["reason"]) == (422, "Invalid")
    assert field in body["message"]


@pytest.mark.parametrize("kind", ["none", "garbage", "for another service", "of another key", "expired"])
async def test_who_does_not_prove_itself_gets_nothing(
    cluster: Cluster, session: aiohttp.ClientSession, tmp_path: Path, kind: str
) -> None:
    write_identities(tmp_path / "key.pem", tmp_path / "tokens", ["agentgateway"])
    headers = {
        "none": {},
        "garbage": {"authorization": "Bearer garbage"},
        "for another service": {
            "authorization": f"Bearer {cluster.tokens.sign('agentgateway', ['application'], 600)[0]}"
        },
        "of another key": {"authorization": f"Bearer {(tmp_path / 'tokens' / 'agentgateway').read_text()}"},
        "expired": {"authorization": f"Bearer {cluster.tokens.sign('agentgateway', [CLUSTER_ISSUER], -60)[0]}"},
    }[kind]
    assert (await request_token(session, cluster, headers))[0] == 401
    async with session.get(f"{cluster.url}/openid/v1/jwks", headers=headers) as response:
        assert response.status == 401


def test_tokens_are_for_their_owners_eyes(cluster: Cluster) -> None:
    secrets = [cluster.folder / "key.pem", *(cluster.folder / "tokens").iterdir()]
    assert len(secrets) == 3
    assert {file.stat().st_mode & 0o777 for file in secrets} == {0o600}
    claims = jwt.get_unverified_claims((cluster.folder / "tokens" / "application").read_text())
    assert claims["exp"] > time.time() + 24 * 3600
