"""Where Terraform's providers are looked for: where the user's own Terraform would look."""

from pathlib import Path

import pytest

from infrastructure.terraform import cli_configuration, provider_mirrors

CONFIGURATION = """
plugin_cache_dir = "/nowhere"
provider_installation {{
  filesystem_mirror {{
    path    = "{first}"
    include = ["registry.terraform.io/*/*"]
  }}
  filesystem_mirror {{
    path = "{second}"
  }}
  direct {{}}
}}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of nobody's, and a cache in it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_DATA_DIRS", "TF_CLI_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def mirror(folder: Path) -> Path:
    """A folder with one provider in it."""
    (folder / "registry.terraform.io/hashicorp/aws/5.100.0").mkdir(parents=True)
    return folder


@pytest.mark.parametrize("named", [True, False], ids=["TF_CLI_CONFIG_FILE", "~/.terraformrc"])
def test_mirrors_are_those_of_the_users_cli_configuration(
    named: bool, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = mirror(home / "first"), mirror(home / "second")
    file = home / ("named.tfrc" if named else ".terraformrc")
    file.write_text(CONFIGURATION.format(first=first, second=second))
    if named:
        monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(file))
    assert provider_mirrors() == [first, second]
    assert f'path = "{first}"' in cli_configuration(provider_mirrors())


def test_a_mirror_that_is_not_there_is_left_out(home: Path) -> None:
    (home / ".terraformrc").write_text(CONFIGURATION.format(first=home / "gone", second=mirror(home / "second")))
    assert provider_mirrors() == [home / "second"]


def test_without_a_configuration_they_are_where_terraform_looks_by_itself(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file that is named is not there: Terraform warns, and goes on without it.
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(home / "gone.tfrc"))
    monkeypatch.setenv("XDG_DATA_DIRS", str(home / "share"))
    own, shared = mirror(home / ".terraform.d/plugins"), mirror(home / "share/terraform/plugins")
    assert provider_mirrors()[:2] == [own, shared]


def test_what_the_mirrors_hold_is_not_asked_of_the_registry(home: Path) -> None:
    text = cli_configuration([mirror(home / "first")])
    assert 'exclude = ["hashicorp/aws"]' in text
