"""A wrong Department is refused at `kubectl apply`, in words; and whatever is accepted there, the services can read."""

import json
import re

import pytest
import yaml
from tests.helpers.overlays import departments
from tests.operator.departments import OTHER, RIGHT, WRONG, dataset
from tests.operator.world import ROOT, built, department, seconds, spec, wait_for_definition

from common.departments import TOOLSET_TOOLS, InvalidDepartment, name_conflict, parse_department
from common.patterns import compile_pattern
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
    wait_for_definition(client)
    client.apply(*(placed(in_git(name), BEFORE) for name, _, _ in OVERLAPS))
    client.apply(*(placed(department(name), BEFORE) for _, name, _ in OVERLAPS))
    # The namespaces of this test apart from the operator's are as if each had an operator.
    client.apply(*(each for each in objects if each["metadata"]["name"] != "file-processing-department-namespace"))
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


PATTERNS = ["^[A-Z]{3}$", r"\d+", r"\w[\w.]*", "a|b", "(a(b)c)", "[^a]", r"\bx\b", "x{2,3}?", r"[\]\-]", "é+"]
# RE2's, which Python's own module reads in another way, or not at all.
PATTERNS += ["a(?i)b", r"\Q.\E\z", "[[:alpha:]]", r"\x{41}"]
HOSTILE = ["(a*)*b", "^(a+)+$", r"^(\w+\s?)*$", "(a|aa)+$"]
"""Would take longer than anybody waits, where each way to match is tried in turn."""


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


def test_all_that_is_wrong_is_said_at_once_and_at_its_field(kubectl: Kubectl) -> None:
    wrong = department(
        "1finance", displayName="f" * 81, toolset="sales", **dataset(name="v" * 40, aliases=["Vendor_ID"])
    )
    message = refusal(kubectl, wrong)
    for field in ("metadata.name", "spec.displayName", "spec.toolset", "spec.datasets[0].name", "spec.datasets[0]"):
        assert f"* {field}: Invalid value: " in message
    assert "<nil>" not in message


@pytest.mark.parametrize("what", WRONG)
def test_the_services_refuse_what_they_could_not_serve_either(what: str) -> None:
    document, _, refused = WRONG[what]
    assert bool(read_by_services(document)) == refused


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_department_is_accepted_and_read_by_the_services(kubectl: Kubectl, what: str) -> None:
    assert not refusal(kubectl, RIGHT[what])
    assert not read_by_services(RIGHT[what])


@pytest.mark.parametrize("pattern", [*PATTERNS, *HOSTILE])
def test_a_pattern_that_is_accepted_compiles_in_the_services(kubectl: Kubectl, pattern: str) -> None:
    document = department("finance", **dataset(pattern=pattern))
    assert not refusal(kubectl, document)
    assert not read_by_services(document)


@pytest.mark.parametrize("pattern", HOSTILE)
def test_the_services_match_any_pattern_that_is_accepted_in_linear_time(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    assert seconds(lambda: compiled.search("a" * 100_000 + "!")) < 1


def test_a_namespace_that_no_operator_watches_is_refused_at_apply(
    control_plane: ControlPlane, kubectl: Kubectl
) -> None:
    policy = [each for each in built("base/department-operator/crd") if "namespace" in each["metadata"]["name"]]
    kubectl.apply(*policy)
    try:
        elsewhere = placed(department("sales"), "default")
        said = wait_for(lambda: refusal(kubectl, elsewhere), 30, "the policy is in force")
        assert "no operator watches the namespace default; a Department belongs into file-processing" in said
        assert not refusal(kubectl, department("sales"))
    finally:
        for each in policy:
            kubectl.delete(each["kind"], each["metadata"]["name"])


def test_the_operator_says_which_column_would_mean_the_keys_of_two_data_sets() -> None:
    both = [spec()["datasets"][0] | {"aliases": ["number"]}, OTHER | {"aliases": ["Number"]}]
    invalid = invalidity(department("finance", datasets=both), lambda _: None)
    assert invalid == "spec.datasets: the column Number would mean the key of two data sets; let it be an alias of one."


def test_the_departments_in_git_are_accepted(kubectl: Kubectl) -> None:
    assert len(departments()) >= 3
    for document in departments():
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
    invalid = invalidity(named, {parent: served, name: named}.get)
    assert invalid is not None
    assert invalid.startswith(f"metadata.name: the tool {tool} of the department {parent} begins with ")
    assert invalidity(served, {parent: served, name: named}.get) is None
    assert invalidity(named, {name: named}.get) is None


@pytest.mark.parametrize(("parent", "name", "tool"), OVERLAPS)
def test_a_name_that_another_departments_tools_begin_with_is_refused_at_apply(
    kubectl: Kubectl, parent: str, name: str, tool: str
) -> None:
    message = refusal(kubectl, placed(department(name), SERVED))
    assert f"metadata.name: the tool {tool} of the department {parent} begins with " in message
    assert message.endswith(f"Choose a name that does not begin with {parent}-.")
    assert not refusal(kubectl, placed(department(name), NAMESPACE)), "no such department is in this namespace"


@pytest.mark.parametrize("tool", ["describe_datasets", "explain_keys"])
def test_a_name_that_a_tool_of_every_department_begins_with_is_refused_at_apply(kubectl: Kubectl, tool: str) -> None:
    message = refusal(kubectl, placed(department(f"hr-{tool.partition('_')[0]}"), SERVED))
    assert f"metadata.name: the tool hr_{tool} of the department hr begins with " in message


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
