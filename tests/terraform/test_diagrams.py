"""The pictures of docs/diagrams say what the plan and the overlays say."""

import copy
import struct
import zlib
from typing import Any

import pytest

from infrastructure.diagrams.canvas import SOURCE, Picture, digest
from infrastructure.diagrams.facts import Facts, Manifest, kustomize, overlays
from infrastructure.diagrams.pictures import ENVIRONMENT, FOLDER, pictures

pytestmark = pytest.mark.slow

NAMES = ("infrastructure", "topology", "traffic", "deployment")


@pytest.fixture(scope="session")
def manifests() -> tuple[Manifest, ...]:
    return overlays(ENVIRONMENT, kustomize())


@pytest.fixture(scope="session")
def facts(prod_plan: dict[str, Any], manifests: tuple[Manifest, ...]) -> Facts:
    return Facts(ENVIRONMENT, prod_plan, manifests)


@pytest.fixture(scope="session")
def drawn(facts: Facts) -> dict[str, Picture]:
    return {picture.file_name: picture for picture in pictures(facts)}


@pytest.mark.parametrize("name", NAMES)
def test_picture_is_what_make_diagrams_would_draw_now(name: str, drawn: dict[str, Picture]) -> None:
    kept = (FOLDER / f"{name}.dot").read_text()
    assert drawn[name].source == kept, "the plan or the overlays have changed: run make diagrams"


def chunks(image: bytes) -> dict[bytes, bytes]:
    """The parts of a PNG by their kind; each has the right checksum."""
    found, rest = {}, image[8:]
    while rest:
        (size,) = struct.unpack(">I", rest[:4])
        kind, data, checksum = rest[4:8], rest[8 : 8 + size], rest[8 + size : 12 + size]
        assert struct.unpack(">I", checksum) == (zlib.crc32(kind + data),)
        found[kind], rest = data, rest[12 + size :]
    return found


@pytest.mark.parametrize("name", NAMES)
def test_picture_was_drawn_from_the_text_beside_it(name: str) -> None:
    source = (FOLDER / f"{name}.dot").read_text()
    picture = chunks((FOLDER / f"{name}.png").read_bytes())
    assert picture[b"tEXt"].decode() == f"{SOURCE}\0{digest(source)}", "drawn from another text: run make diagrams"
    assert picture.keys() >= {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize("name", NAMES)
def test_picture_can_be_looked_at(name: str) -> None:
    data = (FOLDER / f"{name}.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    assert width > 1000
    assert height > 700
    assert f"({name}.png)" in (FOLDER / "README.md").read_text()


def test_each_subnet_is_in_both_pictures_of_the_network(facts: Facts, drawn: dict[str, Picture]) -> None:
    for subnet in facts.network.subnets.values():
        assert str(subnet.cidr) in drawn["infrastructure"].source
        assert str(subnet.cidr) in drawn["topology"].source


def test_each_service_and_department_is_drawn_with_its_pods(facts: Facts, drawn: dict[str, Picture]) -> None:
    for deployment in facts.objects("Deployment"):
        name = deployment["metadata"]["name"]
        assert f"{name}\n{facts.replicas(name)}" in drawn["deployment"].source
    for department in facts.objects("Department"):
        name = department["metadata"]["name"]
        assert f"mcp-{name}" in drawn["deployment"].source
        assert f"mcp-{name}" in drawn["traffic"].source


def test_a_zone_less_in_the_plan_is_a_zone_less_in_the_picture(facts: Facts) -> None:
    plan = copy.deepcopy(dict(facts.plan))

    def walk(module: dict[str, Any]) -> None:
        module["resources"] = [
            item
            for item in module.get("resources", [])
            if not (item["type"] == "aws_nat_gateway" and item["index"] == "ap-southeast-1c")
        ]
        for child in module.get("child_modules", []):
            walk(child)

    walk(plan["planned_values"]["root_module"])
    changed = {one.file_name: one.source for one in pictures(Facts(ENVIRONMENT, plan, facts.manifests))}
    assert "2 NAT gateways" in changed["topology"]
    assert changed["infrastructure"].count('"NAT gateway"') == 2


def test_another_department_is_another_box(facts: Facts) -> None:
    (finance, *_) = facts.objects("Department")
    other = {**finance, "metadata": {**finance["metadata"], "name": "procurement"}}
    changed = pictures(Facts(ENVIRONMENT, facts.plan, (*facts.manifests, other)))
    assert all("mcp-procurement" in one.source for one in changed if one.file_name in ("traffic", "deployment"))


def test_a_call_that_the_policies_do_not_allow_is_not_drawn(facts: Facts, drawn: dict[str, Picture]) -> None:
    without = tuple(one for one in facts.manifests if one["kind"] != "NetworkPolicy")
    (traffic,) = [one for one in pictures(Facts(ENVIRONMENT, facts.plan, without)) if one.file_name == "traffic"]
    assert 'label=":8000"' not in traffic.source
    assert 'label=":8000"' in drawn["traffic"].source
