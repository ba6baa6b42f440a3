import pytest

from common.settings import ServiceSettings, load_settings


class Settings(ServiceSettings):
    bucket: str
    rows: int = 1


def test_a_wrong_setting_stops_the_start_with_a_message_that_names_it_and_not_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROWS", "hunter2")
    monkeypatch.setenv("PORT", "70000")
    with pytest.raises(SystemExit) as stop:
        load_settings(Settings)
    said = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2
    assert [line.split(":")[0] for line in said] == ["setting PORT", "setting BUCKET", "setting ROWS"]
    assert "hunter2" not in "".join(said)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", "files")
    assert load_settings(Settings).bucket == "files"
