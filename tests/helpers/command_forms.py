"""The form of commands in documents that cannot be run here: the program, subcommand, flag, target or path exists.

A check takes a command's words and returns what is wrong, or nothing.
"""

import importlib.util
import itertools
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import jmespath
import typer
from botocore import xform_name
from tests.helpers.documents import ROOT

from fileproc.main import app as fileproc
from local.main import app as local

OF_THE_SYSTEM = {"eval", "export", "echo", "cat", "printf", "head", "mkdir", "cp", "sed", "xargs", "grep", "tr", "date"}
NEED_NO_CHECK = OF_THE_SYSTEM | {"git", "curl", "jq", "openssl", "psql", "$EDITOR", "go", "terraform-docs", "gh"}

AWS_GLOBAL = {"region", "output", "query", "profile", "no-cli-pager", "max-items", "cli-input-json"}
AWS_OWN_COMMANDS = {
    ("s3", "cp"): {"recursive", "quiet"},
    ("s3", "ls"): {"recursive"},
    ("s3", "sync"): {"delete"},
    ("eks", "update-kubeconfig"): {"name", "alias", "role-arn"},
    ("ecr", "get-login-password"): set(),
    ("logs", "tail"): {"since", "follow", "format"},
}
"""Those that the command line adds to the API, by its reference: https://docs.aws.amazon.com/cli/latest/reference/."""
LEFT_FIRST = {
    "subexpression",
    "index_expression",
    "projection",
    "filter_projection",
    "flatten",
    "value_projection",
    "pipe",
}
"""Nodes of JMESPath whose first child alone is asked of the document itself."""
PLANNING = {"plan", "apply", "destroy"}
"""Subcommands of Terraform that take each other's options; each one's help leaves out those of the others."""

Check = Callable[[Sequence[str], Path], str | None]


def options(words: Sequence[str]) -> list[str]:
    """Names of the long options."""
    return [found[1] for word in words if (found := re.match(r"--?([a-z][\w-]*)(=|$)", word))]


def check_make(words: Sequence[str], _: Path) -> str | None:
    """A target, and variables that the Makefile reads."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words[1:]:
        name, equals, _value = word.partition("=")
        pattern = rf"\$\((if \$\()?{name}\b" if equals else rf"^{re.escape(name)}:"
        if not re.search(pattern, makefile, re.MULTILINE):
            return f"the Makefile has no {name}"
    return None


def check_uv(words: Sequence[str], folder: Path) -> str | None:
    """`tools/uv run PROGRAM …`: of the environment; our own commands with their options."""
    if words[1] != "run":
        return None
    program, *rest = words[2:]
    if program == "python" and rest[:1] == ["-m"]:
        return None if is_module(rest[1]) else f"there is no module {rest[1]}"
    if program in OUR_COMMANDS:
        return check_ours([program, *rest], folder)
    return None if (ROOT / ".venv/bin" / program).exists() else f"the environment has no program {program}"


def is_module(name: str) -> bool:
    """Whether `python -m` finds it."""
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def check_ours(words: Sequence[str], _: Path) -> str | None:
    """A command of ours: subcommands, arguments and options as it declares them."""
    command: Any = typer.main.get_command(OUR_COMMANDS[words[0]])
    rest = list(words[1:])
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        if name not in command.commands:
            return f"{words[0]} has no subcommand {name}"
        command = command.commands[name]
    known = {"--help", *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}
    unknown = [word for word in rest if word.startswith("-") and word != "-" and word not in known]
    return f"{' '.join(words)}: there is no {unknown}" if unknown else None


def check_build(words: Sequence[str], _: Path) -> str | None:
    """Programs that tools/build builds."""
    known = subprocess.run([ROOT / "tools/build", "--list"], capture_output=True, text=True, check=True).stdout.split()
    unknown = set(words[1:]) - {*known, "--list"}
    return f"tools/build does not build {unknown}" if unknown else None


def check_aws(words: Sequence[str], _: Path) -> str | None:
    """An operation of AWS's API, and its parameters."""
    service, operation, *rest = words[1:]
    given = {name for name in options(rest) if name not in AWS_GLOBAL}
    if (service, operation) in AWS_OWN_COMMANDS:
        unknown = given - AWS_OWN_COMMANDS[service, operation]
        return f"aws {service} {operation} has no {unknown}" if unknown else None
    session = botocore.session.get_session()
    if service == "s3api":
        service = "s3"
    if service not in session.get_available_services():
        return f"aws has no service {service}"
    model = session.get_service_model(service)
    if operation == "wait":
        waiters = session.get_waiter_model(service)
        by_name = {xform_name(name, "-"): name for name in waiters.waiter_names}
        if rest[0] not in by_name:
            return f"aws {service} has no waiter {rest[0]}"
        operation = xform_name(waiters.get_waiter(by_name[rest[0]]).operation, "-")
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in operations:
        return f"aws {service} has no {operation}"
    shape = model.operation_model(operations[operation]).input_shape
    assert shape is not None
    parameters = {xform_name(name, "-") for name in shape.members}
    unknown = {name for name in given if name not in parameters and name.removeprefix("no-") not in parameters}
    missing = {xform_name(name, "-") for name in shape.required_members} - given
    if unknown:
        return f"aws {service} {operation} has no {unknown}"
    if missing:
        return f"aws {service} {operation} needs {missing}"
    return _check_query(words, model.operation_model(operations[operation]).output_shape)


def _check_query(words: Sequence[str], answer: Any) -> str | None:
    """What `--query` takes out of the answer: the fields at its top are there."""
    for flag, query in itertools.pairwise(words):
        if flag == "--query" and (unknown := _top_fields(jmespath.compile(query).parsed) - set(answer.members)):
            return f"{' '.join(words[1:3])} answers no {unknown}"
    return None


def _top_fields(node: Mapping[str, Any]) -> set[str]:
    """The fields that an expression asks of the document itself: everything but what is right of a dot or a bracket."""
    if node["type"] == "field":
        return {node["value"]}
    of_the_document = node["children"][:1] if node["type"] in LEFT_FIRST else node["children"]
    return {name for child in of_the_document for name in _top_fields(child)}


def check_terraform(words: Sequence[str], folder: Path) -> str | None:
    """A subcommand with options it has, in a folder that is a root; its variables."""
    rest = list(words[1:])
    if rest and rest[0].startswith("-chdir="):
        folder = folder / rest.pop(0).removeprefix("-chdir=")
    if not list(folder.glob("*.tf")):
        return f"{folder.relative_to(ROOT)} is no root of Terraform"
    names = [word for word in rest[:2] if re.fullmatch(r"[a-z][a-z-]+", word)]
    known = _terraform_options(*names[: 2 if names[0] in {"providers", "state"} else 1])
    if known is None:
        return f"terraform has no {' '.join(names)}"
    if unknown := {*options(rest[1:])} - known:
        return f"terraform {names[0]} has no {unknown}"
    values = [value for flag, value in itertools.pairwise(rest) if flag == "-var"]
    values += [word.removeprefix("-var=") for word in rest if word.startswith("-var=")]
    text = "".join(file.read_text() for file in folder.glob("*.tf"))
    unset = {value.partition("=")[0] for value in values if f'variable "{value.partition("=")[0]}"' not in text}
    return f"{folder.name} has no variable {unset}" if unset else None


@cache
def _terraform_options(*names: str) -> set[str] | None:
    """The options of a subcommand by Terraform's own help; None where there is no such subcommand."""
    found: set[str] = set()
    for each in [(name,) for name in PLANNING] if names[0] in PLANNING else [names]:
        shown = subprocess.run(["terraform", *each, "-help"], capture_output=True, text=True, check=False)
        if shown.returncode or f"terraform [global options] {' '.join(each)}" not in shown.stdout:
            return None
        found |= set(re.findall(r"^ +-([a-z][a-z-]*)", shown.stdout, re.MULTILINE))
    return found


@cache
def _kubectl_help(*arguments: str) -> str:
    built = subprocess.run([ROOT / "tools/build", "kubectl"], capture_output=True, text=True, check=True)
    shown = subprocess.run([built.stdout.strip(), *arguments], capture_output=True, text=True, check=False)
    return shown.stdout + shown.stderr


def check_kubectl(words: Sequence[str], _: Path) -> str | None:
    """A subcommand, and options that it or every command has."""
    before = words[1 : words.index("--")] if "--" in words else words[1:]
    verbs = [word for word in before[:2] if re.fullmatch(r"[a-z-]+", word) and not word.startswith("-")]
    if verbs and verbs[0] not in {"rollout", "config", "auth", "top"}:
        verbs = verbs[:1]
    if verbs[:1] == ["top"]:
        verbs = [each.removesuffix("s") for each in verbs]  # its help has the singular alone
    shown = _kubectl_help(*verbs, "--help")
    if not re.search(rf"^  kubectl {' '.join(verbs)}\b", shown, re.MULTILINE):
        return f"kubectl has no {' '.join(verbs)}"
    known = shown + _kubectl_help("options")
    patterns = {name: rf"--{name}\b" if len(name) > 1 else rf"-{name}, " for name in options(before)}
    unknown = [name for name, pattern in patterns.items() if not re.search(pattern, known)]
    return f"kubectl {' '.join(verbs)} has no {unknown}" if unknown else None


OUR_COMMANDS: dict[str, typer.Typer] = {"local": local, "fileproc": fileproc}
CHECKS: dict[str, Check] = {
    "make": check_make,
    "tools/uv": check_uv,
    "local": check_ours,
    "fileproc": check_ours,
    "tools/build": check_build,
    "aws": check_aws,
    "terraform": check_terraform,
    "kubectl": check_kubectl,
}


def complaint(words: Sequence[str], folder: Path) -> str | None:
    """What is wrong with a command that is typed in a folder; nothing if it is as it should be."""
    program = words[0]
    if program in CHECKS:
        return CHECKS[program](words, folder)
    if program in NEED_NO_CHECK:
        return None
    return None if (folder / program).is_file() else f"{program} is no program that is known here"
