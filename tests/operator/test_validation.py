"""A wrong Department is refused at `kubectl apply`, in words; and whatever is accepted there, the services can read."""

from typing import Any

import pytest
import yaml
from tests.operator.world import ROOT, built, department, spec

from common.departments import InvalidDepartment, parse_department
from department_operator.validation import invalidity
from local.kubernetes.control_plane import NAMESPACE, ControlPlane
from local.kubernetes.kubectl import Kubectl, KubectlError, Object

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    client = control_plane.kubectl
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    client.apply(*built("base/department-operator/crd"))
    client.run("wait", "--for=condition=Established", "crd/departments.fileprocessing.internal", "--timeout=30s")
    return client


def dataset(**changes: Any) -> dict[str, Any]:
    """The one data set of a specification, with changes; None takes a field away."""
    changed = spec()["datasets"][0] | changes
    return {"datasets": [{key: value for key, value in changed.items() if value is not None}]}


def without(field: str) -> Object:
    document = department("finance")
    del document["spec"][field]
    return document


SERVER_REPLICAS = "replicas.min is greater than replicas.max"
FOLDER = "it always lies in the department's own folder, departments/mcp-<department>/"
COLUMNS = "and with no other groups than"

# What is wrong, the Department, what a person is told, and whether a service that reads it from a file refuses it too
# (what is the operator's alone, or would only be odd, is not the services' to refuse).
WRONG: dict[str, tuple[Object, str, bool]] = {
    "a name in capitals": (department("Finance"), "lower case", True),
    "a name with a dot": (department("fin.ance"), "a department's name has at most 40 lower-case letters", True),
    "a name that begins with a digit": (department("1finance"), "begins with a letter", True),
    "a name that is too long": (department("f" * 41), "at most 40 lower-case letters", True),
    "no specification": ({**department("finance"), "spec": None}, 'missing required field "spec"', True),
    "no display name": (without("displayName"), 'missing required field "displayName"', True),
    "an empty display name": (department("finance", displayName=""), "spec.displayName", True),
    "a display name that is too long": (department("finance", displayName="f" * 81), "more than 80", True),
    "an unknown toolset": (
        department("finance", toolset="sales"),
        'supported values: "generic", "finance", "hr", "legal"',
        True,
    ),
    "no access": (without("access"), 'missing required field "access"', True),
    "no group": (department("finance", access={"groups": []}), "should have at least 1 item", True),
    "a group instead of a list": (
        department("finance", access={"groups": "finance"}),
        'got "string", expected "array"',
        True,
    ),
    "an empty group": (department("finance", access={"groups": [""]}), "spec.access.groups[0]", False),
    "a group twice": (department("finance", access={"groups": ["a", "a"]}), "Duplicate value", False),
    "no data set": (department("finance", datasets=[]), "should have at least 1 item", True),
    "two data sets of one name": (
        department("finance", datasets=spec()["datasets"] * 2),
        'spec.datasets[1]: Duplicate value: {"name":"vendors"}',
        False,
    ),
    "a data set's name with a dash": (
        department("finance", **dataset(name="vendor-list")),
        "a data set's name has lower-case letters, digits and underscores",
        True,
    ),
    "no object": (
        department("finance", **dataset(object=None)),
        'missing required field "object"',
        True,
    ),
    "another department's folder": (department("finance", **dataset(object="../mcp-hr/salaries.csv")), FOLDER, True),
    "an address instead of an object": (department("finance", **dataset(object="s3://hr/all.csv")), FOLDER, True),
    "a format that is not read": (
        department("finance", **dataset(object="vendors.xlsx")),
        "an object ends with .csv, .jsonl or .parquet",
        True,
    ),
    "no key": (
        department("finance", **dataset(key=None)),
        'missing required field "key"',
        True,
    ),
    "an empty alias": (department("finance", **dataset(aliases=[""])), "spec.datasets[0].aliases[0]", True),
    "a pattern that does not compile": (
        department("finance", **dataset(pattern="^V-([0-9]$")),
        "missing closing )",
        True,
    ),
    "a pattern of too many characters": (department("finance", **dataset(pattern="a" * 257)), "more than 256", True),
    "a pattern that the services read in another way": (
        department("finance", **dataset(pattern=r"^\pL+$")),
        "which the services cannot read",
        True,
    ),
    "a pattern with flags inside": (department("finance", **dataset(pattern="^a(?i)b$")), COLUMNS, True),
    "a path to the data": (department("finance", path="s3://other"), '(Department.spec): unknown field "path"', True),
    "a misspelt field": (
        department("finance", **dataset(restrictedColumn=["iban"])),
        '(Department.spec.datasets[0]): unknown field "restrictedColumn"',
        True,
    ),
    "fewer replicas at most than at least": (
        department("finance", server={"replicas": {"min": 5, "max": 2}}),
        SERVER_REPLICAS,
        False,
    ),
    "more replicas at least than there are by default at most": (
        department("finance", server={"replicas": {"min": 5}}),
        SERVER_REPLICAS,
        False,
    ),
    "no replica": (department("finance", server={"replicas": {"min": 0}}), "greater than or equal to 1", False),
    "a quantity without a unit that there is": (
        department("finance", server={"resources": {"requests": {"memory": "256MB"}}}),
        "a quantity is a positive number with a unit, such as 100m, 256Mi or 1Gi",
        False,
    ),
    "more memory asked for than allowed": (
        department("finance", server={"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}}),
        "requests.memory is greater than limits.memory",
        False,
    ),
    "a limit of CPU": (
        department("finance", server={"resources": {"limits": {"cpu": "1"}}}),
        '(Department.spec.server.resources.limits): unknown field "cpu"',
        False,
    ),
    "a word for yes": (
        department("finance", server={"spreadAcrossZones": "yes"}),
        'got "string", expected "boolean"',
        False,
    ),
}

RIGHT: dict[str, Object] = {
    "the least": department("finance"),
    "a name of 40 characters": department("f" * 40),
    "every field": department(
        "finance",
        toolset="finance",
        access={"groups": ["finance"], "restrictedGroups": ["finance-leads"]},
        **dataset(
            aliases=["vendor"],
            pattern=r"^(?:V|W)-(?P<number>[0-9]{5})\.$",
            search=["name"],
            restrictedColumns=["iban"],
        ),
        server={
            "replicas": {"min": 2, "max": 2},
            "resources": {"requests": {"cpu": "100m", "memory": "1Gi"}, "limits": {"memory": "1024Mi"}},
            "spreadAcrossZones": False,
        },
    ),
    "quantities as numbers": department("finance", server={"resources": {"requests": {"cpu": 1, "memory": 268435456}}}),
}

PATTERNS = ["^[A-Z]{3}$", r"\d+", r"\w[\w.]*", "a|b", "(a(b)c)", "[^a]", r"\bx\b", "x{2,3}?", r"[\]\-]", "é+", ""]


def refusal(kubectl: Kubectl, document: Object) -> str:
    try:
        # As `kubectl apply -f` does it by default.
        kubectl.apply(document, server_side=False, dry_run=True)
    except KubectlError as error:
        return str(error)
    return ""


def read_by_services(document: Object) -> str:
    try:
        parse_department(yaml.safe_dump(document))
    except InvalidDepartment as error:
        return str(error)
    return ""


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_department_is_refused_at_apply_in_words(kubectl: Kubectl, what: str) -> None:
    document, expected, _ = WRONG[what]
    message = refusal(kubectl, document)
    print(f"{what}: {message}")
    assert expected in message


@pytest.mark.parametrize("what", WRONG)
def test_the_services_refuse_what_they_could_not_serve_either(what: str) -> None:
    document, _, refused = WRONG[what]
    assert bool(read_by_services(document)) == refused


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_department_is_accepted_and_read_by_the_services(kubectl: Kubectl, what: str) -> None:
    assert not refusal(kubectl, RIGHT[what])
    assert not read_by_services(RIGHT[what])


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_is_accepted_compiles_in_the_services(kubectl: Kubectl, pattern: str) -> None:
    document = department("finance", **dataset(pattern=pattern))
    assert not refusal(kubectl, document)
    assert not read_by_services(document)


def test_the_departments_in_git_are_accepted(kubectl: Kubectl) -> None:
    documents = [yaml.safe_load(file.read_text()) for file in sorted((ROOT / "base/departments").glob("*.yaml"))]
    departments = [document for document in documents if document["kind"] == "Department"]
    assert len(departments) >= 3
    for document in departments:
        assert not refusal(kubectl, document)


def test_every_field_is_explained_to_kubectl_explain(kubectl: Kubectl) -> None:
    text = kubectl.run("explain", "departments.spec", "--recursive")
    for field in ("displayName", "access", "datasets", "server", "restrictedColumns", "spreadAcrossZones"):
        assert field in text
    assert "data bucket" in kubectl.run("explain", "departments.spec.datasets.object")


@pytest.mark.parametrize(
    ("parent", "name", "tool"),
    [
        ("legal", "legal-contracts", "legal_contracts_expiring"),
        ("hr", "hr-reporting", "hr_reporting_line"),
        ("finance", "finance-lookup", "finance_lookup_vendors"),
    ],
)
def test_the_operator_refuses_a_name_that_another_departments_tools_begin_with(
    parent: str, name: str, tool: str
) -> None:
    served = yaml.safe_load((ROOT / f"base/departments/{parent}.yaml").read_text())
    named = {**served, "metadata": {"name": name}}
    invalid = invalidity(named, {parent: served, name: named})
    assert invalid is not None
    assert invalid.startswith(f"metadata.name: the tool {tool} of the department {parent} begins with ")
    assert invalidity(served, {parent: served, name: named}) is None
    assert invalidity(named, {name: named}) is None
