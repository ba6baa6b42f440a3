"""Who may do what with departments, asked of the API server itself (`kubectl auth can-i`)."""

import json
from itertools import product

import pytest
from tests.operator.world import built, department, wait_for_definition

from department_operator.objects import RBAC, beside_deployment, role_binding
from local.kubernetes.control_plane import NAMESPACE, ControlPlane
from local.kubernetes.kubectl import Kubectl, KubectlError, Object

pytestmark = pytest.mark.slow

Question = tuple[str, str, str]

DEPARTMENTS = ("finance", "hr", "legal")
OPERATOR = f"system:serviceaccount:{NAMESPACE}:department-operator"
READ = ("get", "list", "watch")
CHANGE = ("create", "update", "patch", "delete")
MADE = (
    "configmaps",
    "services",
    "serviceaccounts",
    "deployments.apps",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
)
ROLES = ("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io")
OTHERS = (
    "secrets",
    "pods",
    "pods/exec",
    "pods/log",
    "pods/portforward",
    "serviceaccounts/token",
    *ROLES,
    "podtemplates",
    "nodes",
    "namespaces",
)


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    client = control_plane.kubectl
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    wanted = {"CustomResourceDefinition", "ServiceAccount", "Role", "RoleBinding"}
    client.apply(*(each for each in built("base/department-operator") if each["kind"] in wanted))
    wait_for_definition(client)
    # As the operator applies them: it may grant this.
    as_operator(client, *(role for each in DEPARTMENTS for role in readers(each)))
    return client


def readers(name: str) -> list[Object]:
    """The Role and the RoleBinding that the operator makes of a department."""
    found = department(name, access={"groups": [name]})
    found["metadata"]["uid"] = name
    (role,) = (each for each in beside_deployment(found, zones=1) if each["kind"] == "Role")
    return [role, role_binding(found)]


def as_operator(kubectl: Kubectl, *objects: Object) -> None:
    text = "\n---\n".join(map(json.dumps, objects))
    kubectl.run(
        "apply", "--server-side", "--field-manager=department-operator", f"--as={OPERATOR}", "-f", "-", stdin=text
    )


def allowed(
    kubectl: Kubectl, subject: dict[str, object], questions: list[tuple[str, str, str]]
) -> set[tuple[str, ...]]:
    """Those of the questions (verb, resource, name) that the API server says yes to, asked as `auth can-i` asks."""
    reviews = [
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {**subject, "resourceAttributes": _attributes(*question)},
        }
        for question in questions
    ]
    text = kubectl.run("create", "-f", "-", "-o", "json", stdin="\n---\n".join(map(json.dumps, reviews)))
    answers = json.JSONDecoder()
    found: list[bool] = []
    while text.strip():
        document, end = answers.raw_decode(text.strip())
        text = text.strip()[end:]
        found += [each["status"]["allowed"] for each in document.get("items", [document])]
    assert len(found) == len(questions)
    return {question for question, yes in zip(questions, found, strict=True) if yes}


def _attributes(verb: str, resource: str, name: str) -> dict[str, str]:
    path, _, group = resource.partition(".")
    kind, _, subresource = path.partition("/")
    return {
        "verb": verb,
        "group": group,
        "resource": kind,
        "subresource": subresource,
        "name": name,
        "namespace": NAMESPACE,
    }


def member(department: str) -> dict[str, object]:
    return {"user": f"someone@{department}.example.com", "groups": [department, "system:authenticated"]}


@pytest.mark.parametrize("department", DEPARTMENTS)
def test_a_departments_people_read_what_is_theirs_and_nothing_else(kubectl: Kubectl, department: str) -> None:
    names = {each: ("departments.fileprocessing.internal", each) for each in DEPARTMENTS}
    objects = [*names.values(), *((kind, f"mcp-{each}") for kind, each in product(MADE, DEPARTMENTS))]
    questions = [(verb, kind, name) for verb, (kind, name) in product(READ, objects)]
    theirs = {(verb, kind, name) for verb, kind, name in questions if name.removeprefix("mcp-") == department}
    assert allowed(kubectl, member(department), questions) == theirs


@pytest.mark.parametrize("department", DEPARTMENTS)
def test_a_departments_people_change_nothing(kubectl: Kubectl, department: str) -> None:
    kinds = ("departments.fileprocessing.internal", "departments/status.fileprocessing.internal", *MADE, *OTHERS)
    names = (department, f"mcp-{department}", "")
    assert not allowed(kubectl, member(department), list(product(CHANGE, kinds, names)))


@pytest.mark.parametrize("department", DEPARTMENTS)
def test_a_departments_people_see_nothing_of_others(kubectl: Kubectl, department: str) -> None:
    kinds = ("departments.fileprocessing.internal", *MADE, *OTHERS)
    assert not allowed(kubectl, member(department), list(product(READ, kinds, ["", "agentgateway", "aws-facts"])))


def test_who_is_in_no_department_reads_no_department(kubectl: Kubectl) -> None:
    kinds = ("departments.fileprocessing.internal", *MADE, *OTHERS)
    nobody: dict[str, object] = {"user": "eve", "groups": ["system:authenticated"]}
    assert not allowed(kubectl, nobody, list(product((*READ, *CHANGE), kinds, ["finance", "mcp-finance", ""])))


def test_the_operator_may_do_what_it_does_and_no_more(kubectl: Kubectl) -> None:
    departments, status = "departments.fileprocessing.internal", "departments/status.fileprocessing.internal"
    kinds = (departments, status, *MADE, *OTHERS, "controllerrevisions.apps", "events")
    verbs = (*READ, *CHANGE, "bind", "escalate", "impersonate")
    expected = {
        *product(READ, [departments]),
        ("patch", status),
        *product((*READ, "create", "patch", "update"), MADE),
        *product(("list", "watch", "create", "patch", "update"), ROLES),
        *product(("list", "watch"), ["pods", "podtemplates"]),
        *product(("list", "create", "patch", "delete"), ["controllerrevisions.apps"]),
        ("create", "events"),
    }
    found = allowed(kubectl, {"user": OPERATOR}, [(verb, kind, "") for verb, kind in product(verbs, kinds)])
    assert {(verb, kind) for verb, kind, _ in found} == expected


@pytest.mark.parametrize("right", [("", "secrets"), ("", "pods/log"), ("", "pods/exec"), (RBAC, "roles")])
def test_the_operator_grants_nothing_that_it_has_not(kubectl: Kubectl, right: tuple[str, str]) -> None:
    role, _ = readers("hr")
    role["rules"].append({"apiGroups": [right[0]], "resources": [right[1]], "verbs": ["get"]})
    with pytest.raises(KubectlError, match="attempting to grant RBAC permissions not currently held"):
        as_operator(kubectl, role)


def test_kubectl_auth_can_i_says_so_to_people(kubectl: Kubectl) -> None:
    def can_i(*question: str) -> str:
        command = ["auth", "can-i", *question, "--as=someone", "--as-group=finance", "--as-group=system:authenticated"]
        try:
            return kubectl.run(*command).strip()
        except KubectlError as error:  # `no` is a status of 1
            return str(error).strip()

    assert can_i("get", "departments/finance") == "yes"
    assert can_i("get", "departments/hr") == "no"
    assert can_i("delete", "departments/finance") == "no"
    assert can_i("create", "departments") == "no"
