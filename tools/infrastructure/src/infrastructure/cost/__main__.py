"""`python -m infrastructure.cost [--json]`: the month of dev and prod, from their plans."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from infrastructure.cost.bill import Bill, NotPriced
from infrastructure.cost.report import as_json, as_text, report
from infrastructure.cost.tables import UnknownPrice, prices, usage
from infrastructure.terraform import TerraformFailed, environment_plan


def main() -> int:
    """Plan both environments and print what they cost."""
    parser = argparse.ArgumentParser(prog="make cost", description="What dev and prod cost in a month, by their plans.")
    parser.add_argument("--json", action="store_true", help="for a program")
    as_document = parser.parse_args().json
    table = prices()
    months = []
    try:
        for environment in ("dev", "prod"):
            print(f"Planning {environment}", file=sys.stderr)
            with tempfile.TemporaryDirectory() as folder:
                plan = environment_plan(environment, Path(folder) / "tree")
            reckoned = usage(environment)
            months.append(report(environment, Bill(plan, reckoned, table).lines(), reckoned))
    except (TerraformFailed, NotPriced, UnknownPrice) as error:
        print(error, file=sys.stderr)
        return 1
    if as_document:
        print(json.dumps(as_json(months, table), indent=2))
        return 0
    print(
        f"List prices of AWS in {table.region} as of {table.as_of}, before tax; prices.yaml says which were compared.\n"
    )
    print("\n\n".join(as_text(month, table) for month in months))
    return 0


if __name__ == "__main__":
    sys.exit(main())
