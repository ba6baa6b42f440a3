import subprocess
import sys
from pathlib import Path

import pytest
from tools.local.tests.conftest import ROOT

pytestmark = pytest.mark.slow

SAMPLES = ROOT / "tools" / "local" / "samples"
NAMES = ("invoices.csv", "invoices.xlsx", "employees.jsonl", "contracts.parquet", "memo.docx", "memo.pdf")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([sys.executable, SAMPLES / "generate.py", folder], check=True, timeout=60)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_what_its_script_writes(generated: Path, name: str) -> None:
    assert (generated / name).read_bytes() == (SAMPLES / name).read_bytes()
