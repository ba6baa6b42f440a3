"""Which blocks of ports a stack may use."""

from pathlib import Path

import pytest

from common.settings import load_settings
from local import addresses
from local.settings import LocalSettings


@pytest.mark.parametrize("first_port", [1024, 8700, 32718, 61000, 65485])
def test_a_block_beside_the_ports_of_outgoing_connections_may_be_used(first_port: int) -> None:
    assert addresses.conflict(first_port, (32768, 60999)) is None


@pytest.mark.parametrize("first_port", [32719, 40000, 60999])
def test_a_block_among_the_ports_of_outgoing_connections_is_refused(first_port: int) -> None:
    problem = addresses.conflict(first_port, (32768, 60999))
    assert problem
    assert f"ports {first_port} to {first_port + 49} " in problem
    assert "below 32719 or above 60999" in problem


@pytest.mark.parametrize("setting", ["LOCAL_PORT", "LOCAL_CLUSTER_PORT"])
def test_a_wrong_block_stops_the_start_and_the_setting_is_named(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "ip_local_port_range"
    file.write_text("20000\t60999\n")
    monkeypatch.setattr(addresses, "OUTGOING_PORTS", file)
    assert load_settings(LocalSettings)
    monkeypatch.setenv(setting, "20001")
    with pytest.raises(SystemExit):
        load_settings(LocalSettings)
    assert f"setting {setting}: Value error, ports 20001 to 20050 are among" in capsys.readouterr().err


@pytest.mark.parametrize("text", [None, "1024\t65535\n"])
def test_any_block_may_be_used_where_no_port_is_kept_free(
    text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "ip_local_port_range"
    if text:
        file.write_text(text)
    monkeypatch.setattr(addresses, "OUTGOING_PORTS", file)
    assert load_settings(LocalSettings)
