"""Where Terraform's providers are looked for: where the user's own Terraform would look."""

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infrastructure.terraform import Workspace, cli_configuration, provider_mirrors

pytestmark = pytest.mark.slow

ROOT = """
terraform {{
  required_providers {{
    one = {{ source = "{source}" }}
  }}
}}
"""

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


def platform() -> str:
    """What Terraform calls this machine (`linux_amd64`)."""
    said = subprocess.run(["terraform", "version", "-json"], capture_output=True, check=True)
    return str(json.loads(said.stdout)["platform"])


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


def test_packages_are_kept_only_where_the_registry_is_asked_for_them(home: Path) -> None:
    assert "plugin_cache_dir" not in cli_configuration([mirror(home / "first")])
    assert "plugin_cache_dir" in cli_configuration([])


@pytest.mark.parametrize("source", ["hashicorp/aws", "example/other"], ids=["from the mirror", "by way of the cache"])
def test_many_workspaces_without_a_lock_file_are_initialised_at_once(
    source: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = home / f"mirror/registry.terraform.io/{source}/1.0.0/{platform()}"
    package.mkdir(parents=True)
    (package / f"terraform-provider-{Path(source).name}_v1.0.0").write_text("init looks at it, and does not run it")
    configuration = home / ".terraformrc"
    configuration.write_text(CONFIGURATION.format(first=home / "mirror", second=home / "gone"))

    def initialise(number: int) -> None:
        workspace = Workspace(home / f"work-{number}")
        workspace.path("alone").mkdir()
        (workspace.path("alone") / "main.tf").write_text(ROOT.format(source=source))
        for _ in range(3):
            workspace.init("alone")
            (workspace.path("alone") / ".terraform.lock.hcl").unlink()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(initialise, range(8)))
