"""What documents name exists: links, anchors, paths, targets, settings, and each command in its form."""

import re
import subprocess
from pathlib import Path

import pytest
from tests.helpers.command_forms import OF_THE_SYSTEM, complaint
from tests.helpers.documents import (
    INLINE_CODE,
    LINK,
    PLACES,
    REASONS,
    ROOT,
    Block,
    anchors,
    blocks,
    documents,
    prose,
    read,
)
from tests.helpers.shell_words import commands
from tests.helpers.workspace import IMAGES

DOCUMENTS = documents()
OURS = [document for document in DOCUMENTS if not document.startswith("infra-terraform/modules/")]
"""Terraform's modules are documented by terraform-docs, and their READMEs checked by tests/terraform."""
COMMANDS = [block for document in DOCUMENTS for block in blocks(document) if block.language == "sh"]
TOP = {path.partition("/")[0] for path in documents("*") if "/" in path}
NO_PATHS = {"tools/list", "tools/call"}
"""Methods of MCP."""
PATH = re.compile(rf"(?<![\w/>-])(?:{'|'.join(sorted(re.escape(name) for name in TOP))})/[\w./<>*{{}},-]*[\w>*/}}]")
TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
PLACEHOLDER = re.compile(r"<[^>]*>|\{[^}]*\}|…")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_of_a_document_lead_somewhere(document: str) -> None:
    for target in LINK.findall(prose(document)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / document).parent / path if path else ROOT / document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.resolve().relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_that_a_document_names_exist(document: str) -> None:
    folder = (ROOT / document).parent
    for code in INLINE_CODE.findall(prose(document)):
        for path in PATH.findall(code) if not re.search(r"https?:|[\s$]", code) else ():
            if path in NO_PATHS or "<service>" in path:  # the latter is what somebody is about to add
                continue
            pattern = PLACEHOLDER.sub("*", path).partition("::")[0].rstrip("/")
            assert any(list(place.glob(pattern)) for place in (ROOT, folder)), path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_rows_of_a_table_have_as_many_cells_as_its_head(document: str) -> None:
    for table in TABLE.findall(prose(document) + "\n"):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table


@pytest.mark.parametrize("document", OURS)
def test_make_targets_and_settings_that_a_document_names_exist(document: str) -> None:
    named = INLINE_CODE.findall(prose(document))
    for code in named:
        if code.startswith("make "):
            assert complaint(code.split()[:2], ROOT) is None, code
    assert missing_in_code({code for code in named if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+", code)}) == set()


@pytest.mark.slow
@pytest.mark.parametrize("document", OURS)
def test_commands_within_a_sentence_have_the_right_form(document: str) -> None:
    named = [
        code for code in INLINE_CODE.findall(prose(document)) if re.match(r"(aws|kubectl) [a-z][a-z0-9-]* [a-z]", code)
    ]
    said = [complaint(words, ROOT) for code in named if "…" not in code for words in commands(code)]
    # A sentence may leave out what a command needs, but names nothing that does not exist.
    assert [each for each in said if each and " needs {" not in each] == []


def test_deployment_page_says_which_programs_it_needs() -> None:
    page = "docs/deployment.md"
    used = {words[0] for block in COMMANDS if block.document == page for words in commands(block.text)}
    needed = read(page).partition("**Needed**")[2].partition("Credentials")[0]
    missing = {
        program for program in used - OF_THE_SYSTEM - {"cd"} if "/" not in program and f"`{program}`" not in needed
    }
    assert missing == set()
    assert {"terraform", "aws", "kubectl", "gh", "jq"} <= used


def missing_in_code(settings: set[str]) -> set[str]:
    """Those that are nothing to any program: neither in capital letters nor as the field that a variable sets."""
    searched = ("*.py", "*.tf", "*.yaml", "*.sh", "Makefile", "tools", ".github")
    names = [form for setting in settings for form in (setting, setting.lower())]
    command = ["git", "grep", "--untracked", "-Iohwf", "-", "--", *searched]
    found = subprocess.run(command, cwd=ROOT, check=False, input="\n".join(names), stdout=subprocess.PIPE, text=True)
    return settings - {each.upper() for each in found.stdout.split()}


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.document in OURS], ids=str)
def test_every_block_of_commands_says_how_it_is_tested(block: Block) -> None:
    if block.place is not None:
        assert block.place in PLACES
        return
    assert block.reason is not None, "put `<!-- run: … -->` or `<!-- not run: … -->` before it"
    file, _, test = block.reason.partition("::")
    assert block.reason in REASONS or f"def {test}(" in (ROOT / file).read_text()


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in COMMANDS if block.place is None], ids=str)
def test_commands_that_are_not_run_have_the_right_form(block: Block) -> None:
    folder = start = (ROOT / block.document).parent if block.document not in OURS else place_of(block)
    wrong = []
    for words in commands(block.text):
        if words[0] == "cd":
            folder = Path(start, folder, words[1]).resolve()
        if words[0] in ("cd", "mkdir"):
            continue
        wrong += [said] if (said := complaint(words, folder)) else []
        wrong += [f"{word} is not there" for word in words[1:] if PATH.fullmatch(word) and not (folder / word).exists()]
    assert not wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make nothing", "the Makefile has no nothing"),
        ("make cost OTHER=1", "the Makefile has no OTHER"),
        ("aws s3api copy-objects --bucket b", "aws s3 has no copy-objects"),
        ("aws s3api copy-object --bucket b --key k", "aws s3 copy-object needs {'copy-source'}"),
        ("aws sqs purge-queue --queue-url q --force", "aws sqs purge-queue has no {'force'}"),
        ("aws dynamodb wait table-there --table-name t", "aws dynamodb has no waiter table-there"),
        ("aws eks list-insights --cluster-name c --query 'things[0]'", "eks list-insights answers no {'things'}"),
        ("terraform -chdir=infra-terraform/bootstrap apply -vars a=b", "terraform apply has no {'vars'}"),
        ("terraform -chdir=infra-terraform/bootstrap state drop a", "terraform has no state drop"),
        ("kubectl get pods --everywhere", "kubectl get has no ['everywhere']"),
        ("kubectl rollout again deployment/agentgateway", "kubectl has no rollout again"),
        ("terraform -chdir=infra-terraform/bootstrap apply -var zone=a", "bootstrap has no variable {'zone'}"),
        ("terraform -chdir=infra-terraform apply", "infra-terraform is no root of Terraform"),
        ("tools/uv run local begin", "local has no subcommand begin"),
        ("tools/uv run fileproc enrich a.csv --to b.csv", "fileproc enrich a.csv --to b.csv: there is no ['--to']"),
        ("tools/uv run python -m local.nothing", "there is no module local.nothing"),
        ("tools/build nothing", "tools/build does not build {'nothing'}"),
        ("echo $(nothing)", "nothing is no program that is known here"),
    ],
)
def test_a_wrong_command_in_a_document_would_be_found(command: str, said: str) -> None:
    assert said in [complaint(words, ROOT) for words in commands(command)]


def place_of(block: Block) -> Path:
    """Where commands are typed: at the top, unless they are Terraform's own page."""
    return ROOT / "infra-terraform" if block.document == "infra-terraform/README.md" else ROOT


@pytest.mark.parametrize("service", IMAGES)
def test_a_services_readme_has_the_shape_of_all(service: str) -> None:
    document = f"services/{service}/README.md"
    text = read(document)
    assert text.startswith(f"# {service}\n\n")
    assert blocks(document)[0].line < text.count("\n", 0, text.index("\n## ")), "how to run it alone comes first"
    assert {"endpoints", "settings", "when-something-fails"} <= anchors(document)


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        document = waiting.pop()
        reached.add(document)
        for target in LINK.findall(read(document)):
            file = ((ROOT / document).parent / target.partition("#")[0]).resolve()
            if file.suffix == ".md" and file.is_file():
                waiting += {file.relative_to(ROOT).as_posix()} - reached - {*waiting}
    assert {*documents("docs/*.md", "docs/**/*.md", "services/*/README.md", "tools/*/README.md")} <= reached
