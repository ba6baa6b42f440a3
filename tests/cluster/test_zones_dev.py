"""Dev on the real scheduler, with nodes in three zones: it stays in its own."""

from collections.abc import Iterator

import pytest
from tests.helpers.zones import ZONES, Zones, running

from local.kubernetes.kubectl import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zones]:
    with running(tmp_path_factory.mktemp("dev") / "cluster", "dev") as zones:
        yield zones


def test_1_dev_has_one_replica_of_each_in_its_zone(dev: Zones) -> None:
    dev.wait_for_replicas(1)
    placement = dev.placement()
    assert len(placement) == 7
    assert all(each == {ZONES[0]: 1} for each in placement.values()), placement


def test_2_dev_stays_in_its_zone_even_if_that_is_lost(dev: Zones) -> None:
    dev.lose(ZONES[0])

    def waiting() -> bool:
        pods = dev.kubectl.list("pods")
        return len(pods) == 8 and all(pod["status"]["phase"] == "Pending" for pod in pods)

    wait_for(waiting, 180, "each pod waits for its zone", state=dev.placement)
    dev.bring_back(ZONES[0])
    dev.wait_for_replicas(1)
    assert all(each == {ZONES[0]: 1} for each in dev.placement().values())
