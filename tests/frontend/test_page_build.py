"""The page is made when the service is built, from the Langflow that is installed."""

import subprocess
from pathlib import Path

import pytest
from tests.helpers.stack import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("packages")]

PYTHON = ROOT / "services" / "frontend" / ".venv" / "bin" / "python"


def test_another_langflow_fails_the_build_and_says_what_is_missing(tmp_path: Path) -> None:
    missing = (
        "from pathlib import Path; from frontend import look; "
        "look.SCRIPT += (look.Change('what only another Langflow has', ''),); "
        f"look.make_page(Path({str(tmp_path / 'page')!r}))"
    )
    other = missing.replace(
        "look.SCRIPT += (look.Change('what only another Langflow has', ''),)", "look.LANGFLOW = '1.0'"
    )
    for code, said in (
        (missing, "has no 'what only another Langflow has'"),
        (other, "the changes to its page are for 1.0"),
    ):
        built = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, timeout=120, check=False)
        assert built.returncode != 0
        assert said in built.stderr
