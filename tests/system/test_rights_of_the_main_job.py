"""The main job with the rights that Terraform gives: each call of AWS that a service makes is judged by its role."""

import io
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import aiohttp
import pytest
import pytest_asyncio
from tests.helpers.clients import SAMPLE
from tests.helpers.departments import until
from tests.helpers.enforced_rights import EnforcedRights, without
from tests.helpers.processes import Copies, in_place_of
from tests.helpers.proxy import Proxy, running_proxy
from tests.helpers.rest import Refused, Rest, bearer
from tests.helpers.stack import ROOT, Stack
from tests.terraform.test_least_privilege import FINANCE, NEEDED, resource_policies

from infrastructure.policies import endpoint_policies, roles
from infrastructure.resources import Plan
from infrastructure.terraform import environment_plan

pytestmark = pytest.mark.slow

ROLES: Final = {
    "application": "application",
    "worker": "application-worker",
    "mcp-finance": "department",
}
QUICK: Final = {"RECEIVE_SECONDS": "1", "RETRY_SECONDS": "0.1", "MAX_ATTEMPTS": "2"}
CONTENT: Final = (ROOT / SAMPLE).read_bytes()


def rights_of(plan: Plan, service: str, missing: str | None = None) -> EnforcedRights:
    """The rights of a service's role, but for one."""
    role = roles(plan)[f"dev-{ROLES[service]}"]
    context: Mapping[str, str] = FINANCE if service.startswith("mcp-") else {}
    return EnforcedRights(
        without(role, missing) if missing else role, resource_policies(plan), endpoint_policies(plan), context
    )


@dataclass
class Services:
    """Copies of the services, behind the rights of their roles from their first call on; and a caller of theirs."""

    plan: Plan
    rest: Rest
    proxies: Mapping[str, Proxy]
    rights: Mapping[str, EnforcedRights]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def services(
    stack: Stack, session: aiohttp.ClientSession, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Services]:
    plan = environment_plan("dev", tmp_path_factory.mktemp("dev") / "tree")
    rights = {service: rights_of(plan, service) for service in ROLES}
    proxies: dict[str, Proxy] = {}
    ports: dict[str, int] = {}
    async with AsyncExitStack() as exits:
        exits.enter_context(in_place_of(stack, "worker"))
        for service in ROLES:
            proxies[service] = await exits.enter_async_context(running_proxy(stack.addresses.aws))
            proxies[service].fault = rights[service]
            copies = Copies(stack, service, {"AWS_ENDPOINT_URL": proxies[service].url, **QUICK})
            exits.callback(copies.stop)
            (ports[service],) = copies.start()
        # It asks AWS for nothing in this job: it signs only where somebody logs in by IAM.
        gateway = Copies(stack, "gateway", {"APPLICATION_URL": f"http://127.0.0.1:{ports['application']}"})
        exits.callback(gateway.stop)
        (ports["gateway"],) = gateway.start()

        async def are_ready() -> bool:
            urls = [f"http://127.0.0.1:{port}/readyz" for port in ports.values()]
            return all([await is_ready(session, url) for url in urls])

        await until("the services are ready", are_ready, 120)
        rest = Rest(session, f"http://127.0.0.1:{ports['gateway']}", bearer(stack.tokens["dana"]))
        yield Services(plan, rest, proxies, rights)


async def is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_main_job_needs_no_right_that_terraform_does_not_give(services: Services) -> None:
    rest = services.rest
    job, result = await rest.enrich("invoices.csv", CONTENT)
    assert len(result) > len(CONTENT)
    await rest.good("GET", f"/api/jobs/{job['id']}/report")
    await rest.good("GET", "/api/jobs")
    await rest.good("DELETE", f"/api/files/{job['file']['id']}")

    file = await uploaded_by_a_presigned_address(rest)
    assert (await rest.finished(await rest.submit(file)))["status"] == "succeeded"
    upload = await rest.good("POST", "/api/uploads", body={"name": "a.csv", "size": 20 << 30})
    await rest.good("GET", "/api/uploads")
    await rest.good("DELETE", f"/api/uploads/{upload.json['id']}")

    refused = {service: each.refused for service, each in services.rights.items() if each.refused}
    assert refused == {}
    for service, each in services.rights.items():
        assert each.used, f"{service} asked AWS for nothing"
        # The table of what services need lacks nothing that they ask for.
        assert each.used <= {line.action for line in NEEDED if line.service == ROLES[service]}
        print(f"{service}: {', '.join(sorted(each.used))}")


async def uploaded_by_a_presigned_address(rest: Rest) -> str:
    upload = (await rest.good("POST", "/api/uploads", body={"name": "invoices.csv", "size": len(CONTENT)})).json
    (part,) = upload["parts"]
    async with rest.session.put(part["url"], data=io.BytesIO(CONTENT)) as answer:
        answer.raise_for_status()
        parts = [{"number": part["number"], "etag": answer.headers["ETag"]}]
    await rest.good("POST", f"/api/uploads/{upload['id']}/complete", body={"parts": parts})
    return str(upload["id"])


@pytest.mark.parametrize(
    "missing",
    ["s3:PutObject", "dynamodb:PutItem"],
)
async def test_job_cannot_be_submitted_without_one_of_the_rights(services: Services, missing: str) -> None:
    fewer = rights_of(services.plan, "application", missing)
    services.proxies["application"].fault = fewer
    try:
        with pytest.raises(Refused) as refused:
            await services.rest.submit(await services.rest.upload("invoices.csv", CONTENT))
    finally:
        services.proxies["application"].fault = services.rights["application"]
    assert refused.value.answer.status >= 500
    assert fewer.refused == {missing}


async def test_job_fails_where_the_worker_may_not_write_its_result(services: Services) -> None:
    fewer = rights_of(services.plan, "worker", "s3:PutObject")
    services.proxies["worker"].fault = fewer
    try:
        job = await services.rest.submit(await services.rest.upload("invoices.csv", CONTENT))
        assert (await services.rest.finished(job))["status"] == "failed"
    finally:
        services.proxies["worker"].fault = services.rights["worker"]
    assert fewer.refused == {"s3:PutObject"}
