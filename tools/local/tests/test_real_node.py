"""Whether a machine can run a real node, and what a person is told where not; the images that a node needs itself."""

import os
import tarfile
from pathlib import Path

import pytest

from local.kubernetes.real_node import check
from local.kubernetes.real_node.images import image_name, write_image


@pytest.fixture
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert check.obstacle(tmp_path) == "a real node needs root, for containers and their network"


def test_missing_packages_are_named_as_they_are_installed(
    as_root: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(check, "PLUGIN_FOLDERS", (tmp_path,))
    told = check.obstacle(tmp_path)
    assert told is not None
    assert told.startswith("packages are missing: apt-get install containerd runc ")
    assert told.endswith(" containernetworking-plugins")
    assert told.count("containerd") == 1


def test_a_state_folder_that_the_node_would_hide_is_refused(
    as_root: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "PACKAGES", {})
    monkeypatch.setattr(check, "plugin_folder", lambda: tmp_path)
    told = check.obstacle(Path("/var/lib/state"))
    assert told == "the state folder is in /var/lib, which the node has as its own; choose another by LOCAL_STATE"


def test_an_image_of_one_program_is_an_oci_archive_with_its_name(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    write_image(tmp_path / "pause.tar", "localhost/pause:1", program)
    assert image_name(tmp_path / "pause.tar") == "localhost/pause:1"
    with tarfile.open(tmp_path / "pause.tar") as archive:
        assert {"oci-layout", "index.json"} < set(archive.getnames())
        assert len([name for name in archive.getnames() if name.startswith("blobs/sha256/")]) == 3
