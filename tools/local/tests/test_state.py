import shutil
import socket
from pathlib import Path

import pytest
import yaml

from common.departments import parse_department
from local import preparation
from local.addresses import Addresses
from local.preparation import prepare
from local.stack import Stack, StackError, check_ports, free_block, is_free
from local.state import InvalidInput, StateFolder


def department(name: str, **changes: object) -> str:
    spec = {
        "displayName": name,
        "access": {"groups": [name]},
        "datasets": [{"name": "things", "object": "things.csv", "key": "id"}],
    } | changes
    document = {"apiVersion": "fileprocessing.internal/v1alpha1", "kind": "Department"}
    return yaml.safe_dump({**document, "metadata": {"name": name}, "spec": spec})


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    (folder / "stock").mkdir(parents=True)
    (folder / "stock.yaml").write_text(department("stock"))
    (folder / "stock" / "things.csv").write_text("id,name\n1,a\n")
    return folder


def test_ones_own_departments_are_beside_ours_each_with_its_address(own: Path, tmp_path: Path) -> None:
    state, addresses = StateFolder(tmp_path / "state"), Addresses(9000)
    assert prepare(state, addresses, own, own) == ["finance", "hr", "legal", "stock"]
    endpoints = [parse_department(file.read_text()).endpoint for file in sorted(state.departments.iterdir())]
    assert endpoints == [f"http://127.0.0.1:{port}/mcp" for port in (9010, 9011, 9012, 9013)]
    assert (state.data / "stock" / "things.csv").read_text() == "id,name\n1,a\n"
    assert (state.data / "finance" / "vendors.parquet").is_file()
    assert {file.name for file in (state.path / "tokens").iterdir()} >= {"agentgateway", "application", "mcp-stock"}


def test_more_departments_than_there_are_ports_for_are_refused(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 14):
        (own / f"stock{number}.yaml").write_text(department(f"stock{number}"))
        shutil.copytree(own / "stock", own / f"stock{number}")
    state = StateFolder(tmp_path / "state")
    assert len(prepare(state, Addresses(9000), own, own)) == 17
    monkeypatch.setattr(preparation, "declared", lambda: {"notices": {}})
    with pytest.raises(InvalidInput, match="there are 17 departments; one stack has ports for 16"):
        prepare(state, Addresses(9000), own, own)


def test_ones_own_department_may_take_the_place_of_ours(own: Path, tmp_path: Path) -> None:
    (own / "stock.yaml").write_text(department("finance"))
    (own / "stock").rename(own / "finance")
    state = StateFolder(tmp_path / "state")
    assert prepare(state, Addresses(9000), own, own) == ["finance", "hr", "legal"]
    assert [file.name for file in (state.data / "finance").iterdir()] == ["things.csv"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda own: (own / "stock.yaml").unlink(), "has no Department objects"),
        (
            lambda own: (own / "stock" / "things.csv").unlink(),
            "'things' of department 'stock' is missing: .*things.csv",
        ),
        (
            lambda own: (own / "stock" / "things.csv").write_text("no,name\n1,a\n"),
            "'things' of department 'stock': things.csv lacks the column id .*stock/things.csv",
        ),
        (lambda own: (own / "stock.yaml").write_bytes(b"kind: \xe9t\xe9"), "stock.yaml is not UTF-8: its byte 7 "),
        (lambda own: (own / "stock.yaml").write_text("kind: Pod"), "stock.yaml is not a valid Department: .*kind"),
        (lambda own: (own / "again.yaml").write_text(department("stock")), "as another file"),
        (lambda own: (own / "stock.yaml").write_text(department("stock", access={"groups": []})), "access.groups"),
    ],
    ids=["none", "no data", "no key", "no text", "another kind", "twice", "for nobody"],
)
def test_what_cannot_be_used_is_told(own: Path, tmp_path: Path, spoil: object, message: str) -> None:
    assert callable(spoil)
    spoil(own)
    with pytest.raises(InvalidInput, match=message):
        prepare(StateFolder(tmp_path / "state"), Addresses(9000), own, own)


def test_departments_without_data_are_refused(own: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="--data DIR"):
        prepare(StateFolder(tmp_path / "state"), Addresses(9000), own, None)


def test_a_state_folder_that_cannot_be_is_told_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"file/state: Not a directory.*LOCAL_STATE"):
        Stack(tmp_path / "file" / "state").start()


def test_a_taken_port_is_told_by_number() -> None:
    first = free_block()
    check_ports(Addresses(first))
    with socket.create_server(("127.0.0.1", first + 7)):
        assert not is_free(first + 7)
        with pytest.raises(StackError, match=f"port {first + 7} is taken"):
            check_ports(Addresses(first))


def test_nothing_is_up_in_an_empty_folder(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "state")
    assert not stack.is_up
    assert stack.stop() == 0
