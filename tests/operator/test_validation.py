"""A wrong Department is refused at `kubectl apply`, in words; and whatever is accepted there, the services can read."""

import json
import re
from typing import Any

import pytest
import yaml
from tests.operator.world import ROOT, built, department, spec

from common.departments import TOOLSET_TOOLS, InvalidDepartment, name_conflict, parse_department
from department_operator.validation import invalidity
from local.kubernetes.control_plane import NAMESPACE, ControlPlane
from local.kubernetes.kubectl import Kubectl, KubectlError, Object, wait_for

pytestmark = pytest.mark.slow


OVERLAPS = [
    ("legal", "legal-contracts", "legal_contracts_expiring"),
    ("hr", "hr-reporting", "hr_reporting_line"),
    ("finance", "finance-lookup", "finance_lookup_vendors"),
]
"""A department in Git, a name that its tools begin with, and such a tool."""
# Departments of each: all of Git; names that overlap with those; the same, from before the policy.
SERVED, LONGER, BEFORE = "served", "longer", "before"


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    client = control_plane.kubectl
    namespaces = (NAMESPACE, SERVED, LONGER, BEFORE)
    client.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each}} for each in namespaces))
    objects = built("base/department-operator/crd")
    client.apply(*(each for each in objects if each["kind"] == "CustomResourceDefinition"))
    client.run("wait", "--for=condition=Established", "crd/departments.fileprocessing.internal", "--timeout=30s")
    client.apply(*(placed(in_git(name), BEFORE) for name, _, _ in OVERLAPS))
    client.apply(*(placed(department(name), BEFORE) for _, name, _ in OVERLAPS))
    client.apply(*objects)
    client.apply(*(placed(in_git(name), SERVED) for name, _, _ in OVERLAPS))
    client.apply(*(placed(department(name), LONGER) for _, name, _ in OVERLAPS))
    for place, name in ((SERVED, OVERLAPS[-1][1]), (LONGER, OVERLAPS[-1][0])):
        wait_for(
            lambda place=place, name=name: refusal(client, placed(department(name), place)),  # type: ignore[misc]  # not inferred with defaults
            30,
            "the policy is in force, and knows the departments",
        )
    return client


def in_git(name: str) -> Object:
    """A Department of base/departments."""
    return dict(yaml.safe_load((ROOT / f"base/departments/{name}.yaml").read_text()))


def placed(document: Object, namespace: str) -> Object:
    return {**document, "metadata": {"name": document["metadata"]["name"], "namespace": namespace}}


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


@pytest.mark.parametrize(("parent", "name", "tool"), OVERLAPS)
def test_the_operator_refuses_a_name_that_another_departments_tools_begin_with(
    parent: str, name: str, tool: str
) -> None:
    served = in_git(parent)
    named = {**served, "metadata": {"name": name}}
    invalid = invalidity(named, {parent: served, name: named})
    assert invalid is not None
    assert invalid.startswith(f"metadata.name: the tool {tool} of the department {parent} begins with ")
    assert invalidity(served, {parent: served, name: named}) is None
    assert invalidity(named, {name: named}) is None


@pytest.mark.parametrize(("parent", "name", "tool"), OVERLAPS)
def test_a_name_that_another_departments_tools_begin_with_is_refused_at_apply(
    kubectl: Kubectl, parent: str, name: str, tool: str
) -> None:
    message = refusal(kubectl, placed(department(name), SERVED))
    assert f"metadata.name: the tool {tool} of the department {parent} begins with " in message
    assert message.endswith(f"Choose a name that does not begin with {parent}-.")
    assert not refusal(kubectl, placed(department(name), NAMESPACE)), "no such department is in this namespace"


@pytest.mark.parametrize(("parent", "name", "tool"), OVERLAPS)
def test_a_department_whose_tools_begin_with_anothers_name_is_refused_at_apply(
    kubectl: Kubectl, parent: str, name: str, tool: str
) -> None:
    message = refusal(kubectl, placed(in_git(parent), LONGER))
    assert (
        f"spec: the tool {tool} would begin with {tool[: len(name)]}_, as all tools of the department {name} do."
        in message
    )
    assert message.endswith(f"or rename {name} first.")
    assert not refusal(kubectl, placed(department(name), LONGER)), "a department is in nobody's way but others'"


def test_an_update_is_refused_where_it_brings_a_tool_that_begins_with_anothers_name(kubectl: Kubectl) -> None:
    kubectl.apply(placed(department("hr", toolset="generic"), LONGER))
    message = refusal(kubectl, placed(department("hr", toolset="hr"), LONGER))
    assert "spec: the tool hr_reporting_line would begin with hr_reporting_" in message
    named = placed(department("hr", **dataset(name="reporting")), LONGER)
    assert not refusal(kubectl, named), "lookup_reporting does not begin with reporting"


@pytest.mark.parametrize("name", [name for overlap in OVERLAPS for name in overlap[:2]])
def test_access_to_departments_that_overlapped_before_the_policy_can_still_be_taken(
    kubectl: Kubectl, name: str
) -> None:
    found = kubectl.get("department", name, namespace=BEFORE)
    assert found is not None
    access = {"access": {"groups": ["nobody"]}}
    assert not refusal(kubectl, placed({**found, "spec": found["spec"] | access}, BEFORE))


def test_the_api_server_refuses_the_same_names_as_the_services(kubectl: Kubectl) -> None:
    """Every beginning of every tool's name, for each toolset."""
    documents = [department(each, toolset=each) for each in TOOLSET_TOOLS]
    documents.append(department("two-words", **dataset(name="us_vendors")))
    parents = {each["metadata"]["name"]: parse_department(yaml.safe_dump(each)) for each in documents}
    names = {
        "_".join(words[:count]).replace("_", "-") + ending
        for parent in parents.values()
        for words in (tool.split("_") for tool in parent.tool_names)
        for count in range(1, len(words) + 1)
        for ending in ("", "s")
    }
    others = {name: parse_department(yaml.safe_dump(department(name))) for name in sorted(names - set(parents))}
    by_the_services = {name for name, each in others.items() if name_conflict(each, parents)}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "every"}})
    kubectl.apply(*(placed(each, "every") for each in documents))

    def by_the_api_server() -> set[str]:
        items = [placed(department(name), "every") for name in others]
        listed = {"apiVersion": "v1", "kind": "List", "items": items}
        try:
            kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(listed))
        except KubectlError as error:
            return set(re.findall(r'"([-a-z0-9]+)" is forbidden', str(error)))
        return set()

    assert len(by_the_services) > 10
    assert len(others) - len(by_the_services) > 10
    # A department counts as soon as the API server's own watch has brought it.
    wait_for(lambda: by_the_api_server() == by_the_services, 30, "both refuse the same", state=by_the_api_server)
