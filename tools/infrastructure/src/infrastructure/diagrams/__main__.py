"""`python -m infrastructure.diagrams`: draw docs/diagrams."""

import subprocess
import sys
import tempfile
from pathlib import Path

from infrastructure.diagrams.canvas import RendererMissing
from infrastructure.diagrams.facts import Facts, kustomize, overlays
from infrastructure.diagrams.pictures import ENVIRONMENT, FOLDER, pictures
from infrastructure.terraform import TerraformFailed, environment_plan


def main() -> int:
    """Plan, build the overlays, and draw."""
    try:
        print(f"Planning {ENVIRONMENT} and building its overlays", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            plan = environment_plan(ENVIRONMENT, Path(folder) / "tree")
        for picture in pictures(Facts(ENVIRONMENT, plan, overlays(ENVIRONMENT, kustomize()))):
            print(picture.draw(FOLDER))
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(error.cmd)}: {error.stderr}", file=sys.stderr)
        return 1
    except (TerraformFailed, RendererMissing) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
