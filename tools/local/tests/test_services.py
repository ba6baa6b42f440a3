"""Which processes a stack has, and what each is told."""

from pathlib import Path

import pytest

from local import services
from local.addresses import Addresses
from local.state import StateFolder


def test_a_service_that_declares_it_is_started_and_the_others_know_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {
        "plain": "[project]\n",
        "our-notices": "[tool.local.environment]\nNOTICES = '[\"a\"]'\n",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    monkeypatch.setattr(services, "SERVICES", tmp_path)
    state = StateFolder(tmp_path / "state")
    found = {each.name: each for each in services.describe(state, Addresses(9000), ["finance", "hr"], 0)}
    assert "plain" not in found
    notices = found["our-notices"]
    assert notices.command[1:] == ["-m", "our_notices"]
    assert notices.ready_url == "http://127.0.0.1:9012/readyz"
    assert notices.environment["NOTICES"] == '["a"]'
    assert notices.environment["SERVICE_ACCOUNT_TOKEN_FILE"] == str(state.token("our-notices"))
    assert found["gateway"].environment["OUR_NOTICES_URL"] == "http://127.0.0.1:9012"
    ports = [
        each.environment[port]
        for each in found.values()
        for port in ("PORT", "METRICS_PORT")
        if port in each.environment
    ]
    assert len(ports) == len({*ports}) > 10
