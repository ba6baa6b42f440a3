"""Departments as data: the `Department` objects of `departments.fileprocessing.internal/v1alpha1`.

They come from a directory here, and from the API server in `department_watch`. A directory holds the same YAML that is
applied to a cluster. It is followed: a department that is added, changed or removed counts within half a second. What
is broken is not served: closed by default.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Annotated, Any, Literal, Protocol, Self

import structlog
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from common.caller import Caller
from common.patterns import InvalidPattern, compile_pattern

log = structlog.get_logger()

POLL_SECONDS = 0.5


class InvalidDepartment(ValueError):
    """Not one valid `Department` object; the message says what is wrong and where."""


class _Model(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


def _compiles(pattern: str) -> str:
    try:
        compile_pattern(pattern)
    except InvalidPattern as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return pattern


TOOLSET_TOOLS: Mapping[str, tuple[str, ...]] = {
    "generic": (),
    "finance": ("convert_amount", "check_invoice"),
    "hr": ("reporting_line",),
    "legal": ("contracts_expiring", "search_clauses"),
}
"""The tools that a toolset adds to those of every department, without the department's prefix."""

Name = Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$")]
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
Pattern = Annotated[str, Field(max_length=256), AfterValidator(_compiles)]


class Access(_Model):
    """Who may use a department; `restricted_groups` may also see restricted columns."""

    groups: tuple[str, ...] = Field(min_length=1)
    restricted_groups: tuple[str, ...] = ()


class Dataset(_Model):
    """One data set: an object under `departments/mcp-<name>/`, found by its key column."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,38}$")]
    object: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.(csv|jsonl|parquet)$")]
    key: ColumnName
    aliases: tuple[ColumnName, ...] = ()
    pattern: Pattern | None = None
    search: tuple[ColumnName, ...] = ()
    restricted_columns: tuple[ColumnName, ...] = ()


class DepartmentSpec(_Model):
    """The part of a `Department` that people write; `server` is the operator's concern alone."""

    display_name: Annotated[str, Field(min_length=1, max_length=80)]
    toolset: Literal["generic", "finance", "hr", "legal"] = "generic"
    access: Access
    datasets: tuple[Dataset, ...] = Field(min_length=1)
    server: dict[str, Any] = Field(default_factory=dict)


class _Metadata(BaseModel):
    name: Name


class _Status(BaseModel):
    endpoint: str | None = None


class _DepartmentObject(_Model):
    model_config = ConfigDict(extra="ignore")

    api_version: Literal["fileprocessing.internal/v1alpha1"]
    kind: Literal["Department"]
    metadata: _Metadata
    spec: DepartmentSpec
    status: _Status = _Status()


class Department(BaseModel):
    """A department as the services see it."""

    model_config = ConfigDict(frozen=True)

    name: str
    spec: DepartmentSpec
    endpoint: str

    def permits(self, caller: Caller) -> bool:
        """Whether `caller` may use this department."""
        return not caller.groups.isdisjoint(self.spec.access.groups)

    def permits_restricted(self, caller: Caller) -> bool:
        """Whether `caller` may also see this department's restricted columns."""
        return self.permits(caller) and not caller.groups.isdisjoint(self.spec.access.restricted_groups)

    @property
    def audience(self) -> str:
        """The department's server, as ServiceAccount tokens name it."""
        return f"mcp-{self.name}"

    @property
    def tool_prefix(self) -> str:
        """What the names of all its tools start with; a dash is not usual in the name of a tool."""
        return f"{self.name.replace('-', '_')}_"

    @property
    def tool_names(self) -> tuple[str, ...]:
        """The names that its tools can have."""
        of_datasets = (f"{verb}_{dataset.name}" for dataset in self.spec.datasets for verb in ("lookup", "search"))
        names = ("describe_datasets", *of_datasets, "explain_keys", *TOOLSET_TOOLS[self.spec.toolset])
        return tuple(self.tool_prefix + name for name in names)

    @property
    def parents(self) -> tuple[str, ...]:
        """The names of other departments that its own name begins with, up to a dash."""
        parts = self.name.split("-")
        return tuple("-".join(parts[:count]) for count in range(1, len(parts)))


def name_conflict(department: Department, others: Mapping[str, Department]) -> str | None:
    """Why `department` cannot have its name beside `others`, or None.

    The name of a tool tells its department, so no other department's tool may begin with the department's prefix.
    """
    for parent in (others[name] for name in department.parents if name in others):
        for tool in parent.tool_names:
            if tool.startswith(department.tool_prefix):
                return (
                    f"metadata.name: the tool {tool} of the department {parent.name} begins with "
                    f"{department.tool_prefix}, as all tools of {department.name} would. Choose another name."
                )
    return None


def without_conflicts(departments: Mapping[str, Department]) -> Mapping[str, Department]:
    """`departments` in the order of their names, without those whose names conflict with another's."""
    kept: dict[str, Department] = {}
    for name, department in sorted(departments.items()):
        if (conflict := name_conflict(department, departments)) is None:
            kept[name] = department
        else:
            log.error("department.name_conflict", name=name, error=conflict)
    return MappingProxyType(kept)


def parse_department(text: str) -> Department:
    """Read one `Department` object from YAML.

    Raises:
        InvalidDepartment: Not YAML, or not a valid `Department`; names each wrong field.
    """
    try:
        return read_department(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise InvalidDepartment(f"not YAML: {error}") from error


def read_department(document: object) -> Department:
    """Read one `Department` object, parsed already.

    Raises:
        InvalidDepartment: Not a valid `Department`; names each wrong field.
    """
    try:
        parsed = _DepartmentObject.model_validate(document)
    except ValidationError as error:
        problems = (
            f"{'.'.join(str(part) for part in problem['loc']) or 'document'}: {problem['msg']}"
            for problem in error.errors(include_url=False)
        )
        raise InvalidDepartment("; ".join(problems)) from error
    name = parsed.metadata.name
    endpoint = parsed.status.endpoint or f"http://mcp-{name}:8080/mcp"
    return Department(name=name, spec=parsed.spec, endpoint=endpoint)


class Departments(Protocol):
    """The departments as they are now, wherever they are followed."""

    @property
    def current(self) -> Mapping[str, Department]:
        """The departments by name, in the order of their names; never changes once handed out."""
        ...

    @property
    def version(self) -> int:
        """Grows with each change, so that what was derived from `current` can be kept until then."""
        ...

    @property
    def known(self) -> bool:
        """Whether `current` is what there is or was, rather than nothing because nothing could be asked."""
        ...


class DepartmentDirectory:
    """The departments of a directory of `*.yaml` files, followed while the context lasts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._current: Mapping[str, Department] = MappingProxyType({})
        self._version = 0
        self._seen: frozenset[tuple[str, int, int]] = frozenset()
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> Mapping[str, Department]:
        """The departments by name, in the order of their names; never changes once handed out."""
        return self._current

    @property
    def version(self) -> int:
        """Grows with each change, so that what was derived from `current` can be kept until then."""
        return self._version

    @property
    def known(self) -> bool:
        """Whether the directory was read, and is there."""
        return self._version > 0 and self._path.is_dir()

    async def __aenter__(self) -> Self:
        """Read the directory, and follow it from now on."""
        self.reload()
        self._task = asyncio.create_task(self._follow(), name="department-directory")
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def reload(self) -> None:
        """Read the whole directory again; a broken file costs only its own department."""
        self._seen = self._signature()
        departments: dict[str, Department] = {}
        prefixes: dict[str, str] = {}
        for file in sorted(self._path.glob("*.yaml")):
            try:
                department = parse_department(file.read_text(encoding="utf-8"))
            except (InvalidDepartment, OSError, UnicodeDecodeError) as error:
                log.error("department.invalid", file=file.name, error=str(error))
                continue
            if (taken := prefixes.setdefault(department.tool_prefix, file.name)) != file.name:
                log.error("department.name_taken", file=file.name, name=department.name, by=taken)
                continue
            departments[department.name] = department
        self._current = without_conflicts(departments)
        self._version += 1
        log.info("departments.loaded", names=list(self._current))

    def _signature(self) -> frozenset[tuple[str, int, int]]:
        entries: set[tuple[str, int, int]] = set()
        for file in self._path.glob("*.yaml"):
            with suppress(OSError):
                status = file.stat()
                entries.add((file.name, status.st_mtime_ns, status.st_ino))
        return frozenset(entries)

    async def _follow(self) -> None:
        # Polling rather than inotify: a ConfigMap's mount swaps symbolic links, and no change between the first read
        # and the first event can be lost.
        while True:
            await asyncio.sleep(POLL_SECONDS)
            if self._signature() != self._seen:
                self.reload()
