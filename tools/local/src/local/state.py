"""The state folder: everything that a stack writes, made anew when it starts."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel


class InvalidInput(Exception):
    """The departments or data that were given cannot be used; the message says which file, and why."""


class StackFile(BaseModel):
    """What a running stack says of itself to commands that come later."""

    port: int
    departments: list[str]
    frontends: int = 0


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Places in the state folder."""

    path: Path

    @property
    def departments(self) -> Path:
        """`Department` objects, with the addresses of their servers."""
        return self.path / "departments"

    @property
    def data(self) -> Path:
        """The departments' data."""
        return self.path / "data"

    @property
    def logs(self) -> Path:
        """One file a process."""
        return self.path / "logs"

    @property
    def tables(self) -> Path:
        """Where each department's server builds its data sets."""
        return self.path / "tables"

    @property
    def temporary(self) -> Path:
        """Where the stand-in for AWS keeps large objects; its files have no names, and end with it."""
        return self.path / "tmp"

    @property
    def frontend(self) -> Path:
        """Langflow's database and files."""
        return self.path / "frontend"

    @property
    def cluster_key(self) -> Path:
        """Signs ServiceAccount tokens."""
        return self.path / "cluster-key.pem"

    def token(self, account: str) -> Path:
        """A ServiceAccount's own token."""
        return self.path / "tokens" / account

    def read(self) -> StackFile | None:
        """What the stack that was started last said of itself."""
        file = self.path / "stack.json"
        return StackFile.model_validate_json(file.read_bytes()) if file.is_file() else None

    def write(self, stack: StackFile) -> None:
        """Tell later commands."""
        (self.path / "stack.json").write_text(stack.model_dump_json())
