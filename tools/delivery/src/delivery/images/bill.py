"""What is in an image, as SPDX by syft, and which of it is known to be vulnerable, by osv-scanner."""

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from delivery.errors import DeliveryError


class BillFailed(DeliveryError):
    """An archive could not be read by syft or osv-scanner."""


def write_bill(syft: Path, archive: Path, target: Path, name: str, version: str) -> int:
    """Write the SPDX document of an archive; how many packages it lists."""
    command = [str(syft), "scan", f"oci-archive:{archive}", f"--source-name={name}", f"--source-version={version}"]
    with tempfile.TemporaryDirectory() as folder:
        unfinished = Path(folder) / "bill.json"
        answer = subprocess.run(
            [*command, "--quiet", f"--output=spdx-json={unfinished}"],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "HOME": folder, "TMPDIR": folder, "SYFT_CHECK_FOR_APP_UPDATE": "false"},
        )
        if answer.returncode:
            raise BillFailed(f"syft cannot read {archive}: {answer.stderr.strip()[-300:]}")
        shutil.move(unfinished, target)
    return len(packages(target))


def packages(bill: Path) -> dict[str, str]:
    """Name and version of each package that a bill lists, by its package URL."""
    document = json.loads(bill.read_text())
    found = {}
    for package in document["packages"]:
        for reference in package.get("externalRefs", ()):
            if reference["referenceType"] == "purl":
                found[reference["referenceLocator"]] = f"{package['name']} {package.get('versionInfo', '')}".strip()
    return found


def write_vulnerabilities(scanner: Path, bill: Path, target: Path, advisories: Path, *, download: bool) -> int:
    """Compare a bill with the advisories in a folder, and write osv-scanner's report; how many are known.

    Several names of one vulnerability count once. With `download` the advisories are brought up to date first.
    """
    command = [str(scanner), "scan", "source", "--lockfile", str(bill), "--format=json", "--all-packages"]
    command += ["--offline-vulnerabilities", f"--local-db-path={advisories}"]
    if download:
        advisories.mkdir(parents=True, exist_ok=True)
        command.append("--download-offline-databases")
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    # 1: some are known.
    if answer.returncode not in (0, 1):
        raise BillFailed(f"osv-scanner cannot compare {bill.name}: {answer.stderr.strip()[-300:]}")
    target.write_text(answer.stdout)
    return sum(severities(json.loads(answer.stdout)).values())


def severities(report: dict[str, Any]) -> Counter[str]:
    """How many vulnerabilities a report of osv-scanner names, by their greatest CVSS score (`-` if none is given)."""
    groups = [
        group
        for result in report.get("results") or ()
        for package in result["packages"]
        for group in package.get("groups") or ()
    ]
    return Counter(group.get("max_severity") or "-" for group in groups)
