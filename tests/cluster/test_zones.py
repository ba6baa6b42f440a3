"""Prod on the real scheduler: spread over zones, a zone lost, the zone back. Each test goes on where the last ended."""

import copy
import time
from collections.abc import Iterator

import pytest
from tests.helpers.overlays import SCALED, of_kind, overlay
from tests.helpers.zones import ZONES, Zones, running

from local.kubernetes.kubectl import KubectlError

pytestmark = pytest.mark.slow

WORKLOADS = {*SCALED, "mcp-finance", "mcp-hr", "mcp-legal"}


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    with running(tmp_path_factory.mktemp("prod") / "cluster", "prod") as zones:
        yield zones


def is_even(placement: dict[str, int], zones: tuple[str, ...]) -> bool:
    counts = [placement.get(zone, 0) for zone in zones]
    return sum(counts) == sum(placement.values()) and max(counts) - min(counts) <= 1


def test_1_pods_of_every_service_and_department_are_one_in_each_zone(prod: Zones) -> None:
    prod.wait_for_replicas(3)
    assert prod.placement() == dict.fromkeys(WORKLOADS, dict.fromkeys(ZONES, 1))


def test_2_more_replicas_are_spread_evenly_too(prod: Zones) -> None:
    prod.scale(5)
    prod.wait_for_replicas(5)
    for name, placement in prod.placement().items():
        assert is_even(placement, ZONES), (name, placement)


def test_3_a_zone_lost_budgets_hold_and_all_replicas_run_in_the_other_two(prod: Zones) -> None:
    start = time.monotonic()
    with prod.disruptions() as states:
        prod.lose(ZONES[0])
        prod.wait_for_replicas(5)
    print(f"all replicas run in the other two zones after {time.monotonic() - start:.1f} s")
    assert {state["name"] for state in states} >= WORKLOADS
    assert [state for state in states if state["currentHealthy"] < state["desiredHealthy"]] == []
    for name, placement in prod.placement().items():
        assert sum(placement.values()) == 5
        assert is_even(placement, ZONES[1:]), (name, placement)


def test_4_the_zone_comes_back_and_the_next_roll_out_spreads_again(prod: Zones) -> None:
    prod.bring_back(ZONES[0])
    assert not any(placement[ZONES[0]] for placement in prod.placement().values()), "nothing moves by itself"
    with prod.disruptions() as states:
        prod.kubectl.run("rollout", "restart", *(f"deployment/{name}" for name in WORKLOADS))
        prod.wait_for_replicas(5)
    assert [state for state in states if state["currentHealthy"] < state["desiredHealthy"]] == []
    for name, placement in prod.placement().items():
        assert is_even(placement, ZONES), (name, placement)


def test_nobody_makes_a_load_balancer_by_a_service(prod: Zones) -> None:
    [service] = copy.deepcopy(of_kind(overlay("prod/agentgateway"), "Service"))
    service["metadata"]["name"] = "another"
    service["spec"]["type"] = "LoadBalancer"
    with pytest.raises(KubectlError, match="exceeded quota"):
        prod.kubectl.apply(service)
