"""Every object that Git deploys is inside the AppProject of its Application, and nothing that runs goes by accident."""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers.kustomize import BUILD_SECONDS, ROOT, Manifest, build, find, offline_tree

from department_operator.objects import beside_deployment, role_binding

pytestmark = [pytest.mark.slow, pytest.mark.timeout(BUILD_SECONDS)]

ENVIRONMENTS = ("dev", "prod")
FINALIZER = "resources-finalizer.argocd.argoproj.io"
VERSION = re.compile(r"\d+\.\d+\.\d+")
# Kinds of ours that have no namespace; of any other kind every object must name one.
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "PriorityClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployed folders, with remote bases in them."""
    return offline_tree(tmp_path_factory.mktemp("tree") / "tree")


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def apps(tree: Path, environment: str) -> list[Manifest]:
    """What the root Application of one environment applies."""
    return build(tree / "apps" / environment)


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    return [each for each in manifests if each["kind"] == kind]


def templates(apps: list[Manifest]) -> list[Manifest]:
    """Every Application, also those that an ApplicationSet makes."""
    return [*of_kind(apps, "Application"), *(each["spec"]["template"] for each in of_kind(apps, "ApplicationSet"))]


def permitted(project: Manifest, manifest: Manifest) -> bool:
    """Whether the project lets an Application have that object, by Argo CD's rules."""
    spec, metadata = project["spec"], manifest["metadata"]
    group = manifest["apiVersion"].rpartition("/")[0]
    cluster_scoped = manifest["kind"] in CLUSTER_SCOPED
    rules: list[dict[str, str]] | None = spec.get(
        "clusterResourceWhitelist" if cluster_scoped else "namespaceResourceWhitelist"
    )
    by_kind = (rules is None and not cluster_scoped) or any(
        fnmatchcase(group, rule["group"])
        and fnmatchcase(manifest["kind"], rule["kind"])
        and fnmatchcase(metadata["name"], rule.get("name", "*"))
        for rule in rules or []
    )
    namespaces = {each["namespace"] for each in spec["destinations"]}
    return by_kind and (cluster_scoped or metadata.get("namespace") in namespaces)


def deployed(tree: Path, apps: list[Manifest], environment: str) -> Iterator[tuple[str, str, Manifest]]:
    """(project, folder, object) of everything in Git but charts."""
    for root in of_kind(apps, "Application"):
        path = root["spec"]["source"].get("path")
        for manifest in build(tree / path) if path else []:
            yield root["spec"]["project"], path, manifest
    for folder in sorted((tree / "overlays" / environment).iterdir()):
        for manifest in build(folder):
            yield "file-processing", str(folder.relative_to(tree)), manifest


def test_every_object_is_inside_its_project(tree: Path, apps: list[Manifest], environment: str) -> None:
    outside, seen = [], set()
    for project, folder, manifest in deployed(tree, apps, environment):
        seen.add(folder)
        if not permitted(find(apps, "AppProject", project), manifest):
            outside.append(f"{folder}: {manifest['kind']} {manifest['metadata']['name']} is not in project {project}")
    assert not outside, "\n".join(outside)
    assert {f"argocd/install/{environment}", f"apps/{environment}", f"overlays/{environment}/application"} <= seen


def test_a_project_permits_nothing_that_another_owns(apps: list[Manifest]) -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x", "namespace": "kube-system"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x", "namespace": "file-processing"}}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "x"}}
    projects = {each["metadata"]["name"]: each for each in of_kind(apps, "AppProject")}
    assert set(projects) == {"default", "file-processing", "platform"}
    for name in ("default", "file-processing"):
        assert not [each for each in (deployment, secret, role) if permitted(projects[name], each)]
    assert not permitted(projects["platform"], {**secret, "kind": "Deployment", "apiVersion": "apps/v1"})
    assert not projects["default"]["spec"]["sourceRepos"]
    assert not projects["default"]["spec"]["destinations"]
    assert not [url for each in projects.values() for url in each["spec"]["sourceRepos"] if "*" in url]


def test_every_application_names_a_project_that_permits_its_source(tree: Path, apps: list[Manifest]) -> None:
    (of_departments,) = build(tree / "argocd/department-project")
    for template in templates(apps):
        spec = template["spec"]
        of_department = spec["project"] == "department-{{ .metadata.name }}"
        project = (of_departments if of_department else find(apps, "AppProject", spec["project"]))["spec"]
        assert spec["project"] != "default"
        assert spec["source"]["repoURL"] in project["sourceRepos"]
        destinations = {(each["server"], each["namespace"]) for each in project["destinations"]}
        assert (spec["destination"]["server"], spec["destination"]["namespace"]) in destinations


def test_charts_are_pinned(apps: list[Manifest]) -> None:
    charts = [each["spec"]["source"] for each in of_kind(apps, "Application") if "chart" in each["spec"]["source"]]
    assert {each["chart"] for each in charts} >= {
        "aws-load-balancer-controller",
        "cluster-autoscaler",
        "external-secrets",
    }
    assert all(VERSION.fullmatch(each["targetRevision"]) for each in charts)
    assert all(each["repoURL"].startswith("https://") for each in charts)


def test_one_repository_is_named_everywhere(apps: list[Manifest]) -> None:
    root = find(apps, "Application", "root")["spec"]["source"]["repoURL"]
    named = {each["spec"]["source"]["repoURL"] for each in templates(apps) if "chart" not in each["spec"]["source"]}
    named |= {
        generator["git"]["repoURL"]
        for each in of_kind(apps, "ApplicationSet")
        for generator in each["spec"]["generators"]
    }
    named |= {each["spec"]["sourceRepos"][0] for each in of_kind(apps, "AppProject") if each["spec"]["sourceRepos"]}
    assert named == {root}


def test_bootstrap_installs_the_root_that_git_then_manages(tree: Path, apps: list[Manifest], environment: str) -> None:
    applied = build(tree / "clusters" / environment)
    assert all(manifest in apps for manifest in applied)
    policies = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    assert {each["kind"] for each in applied} == {"AppProject", "Application", *policies}
    assert find(applied, "Application", "root")["spec"]["source"]["path"] == f"apps/{environment}"


def test_no_service_goes_by_accident_and_a_department_only_in_dev(apps: list[Manifest], environment: str) -> None:
    for each in of_kind(apps, "ApplicationSet"):
        assert each["spec"]["goTemplateOptions"] == ["missingkey=error"]
        goes = environment == "dev" and each["metadata"]["name"] != "services"
        assert each["spec"]["syncPolicy"] == {
            "applicationsSync": "sync" if goes else "create-update",
            "preserveResourcesOnDeletion": not goes,
        }
    for template in templates(apps):
        assert "finalizers" not in template["metadata"]
    # Where departments go, a project waits for its Application; nowhere else does anything wait for Argo CD.
    waits = [each for each in apps if FINALIZER in yaml.safe_dump(each)]
    assert [each["metadata"]["name"] for each in waits] == (["department-projects"] if environment == "dev" else [])
    assert "prune" not in find(apps, "Application", "root")["spec"]["syncPolicy"]["automated"]


def test_dev_prunes_and_prod_does_not_and_both_heal(apps: list[Manifest], environment: str) -> None:
    policies: dict[str, dict[str, Any]] = {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]["syncPolicy"]
        for each in of_kind(apps, "ApplicationSet")
    }
    assert set(policies) == {"department-projects", "departments", "services"}
    for policy in policies.values():
        assert policy["automated"] == {"prune": environment == "dev", "selfHeal": True}
    for template in templates(apps):
        policy = template["spec"]["syncPolicy"]
        assert policy["automated"]["selfHeal"]
        # For ever, and with the newest commit: a first install converges in whatever order things come up.
        assert (policy["retry"]["limit"], policy["retry"]["refresh"]) == (-1, True)
        assert {"ServerSideApply=true", "SkipDryRunOnMissingResource=true"} <= set(policy["syncOptions"])


def test_environments_differ_in_nothing_but_their_name_and_pruning(tree: Path) -> None:
    dev, prod = (build(tree / "apps" / environment) for environment in ENVIRONMENTS)
    for each in of_kind([*dev, *prod], "ApplicationSet"):
        del each["spec"]["template"]["spec"]["syncPolicy"], each["spec"]["syncPolicy"]
    source = find(dev, "ApplicationSet", "department-projects")["spec"]["template"]["spec"]["source"]
    assert FINALIZER in source["kustomize"]["patches"].pop()["patch"]
    assert yaml.safe_dump(prod).replace("prod", "dev") == yaml.safe_dump(dev)


def test_a_department_is_one_file_and_nothing_else_in_git_names_it() -> None:
    for file in (ROOT / "base/departments").iterdir():
        document = yaml.safe_load(file.read_text())
        # By its name Argo CD includes the file, and by its groups it lets people in.
        assert [document["kind"], f"{document['metadata']['name']}.yaml"] == ["Department", file.name]
        for group in document["spec"]["access"]["groups"]:
            assert re.fullmatch(r"[\w.@-]+", group), f"{file.name}: {group!r} is not a group's name"
    folders = ("apps", "argocd", "base", "clusters", "infra-terraform/environments", "overlays")
    # A toolset has code of its own, which the schema names.
    apart = ("base/departments", "base/department-operator/crd")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.*") if path.is_file()]
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in files if path.suffix in {".csv", ".tf", ".yaml"}}
    named = [path for path, text in texts.items() if re.search(r"\b(hr|legal)\b", text) and not path.startswith(apart)]
    assert not named


def test_a_departments_project_permits_a_department_and_what_is_made_of_it(tree: Path) -> None:
    (project,) = build(tree / "argocd/department-project")
    metadata = {"name": "hr", "namespace": "file-processing"}
    made = {
        "metadata": {"name": "hr", "uid": "1", "namespace": "file-processing"},
        "spec": {"access": {"groups": ["hr"]}},
    }
    for each in (*beside_deployment(made, zones=1), role_binding(made)):
        assert permitted(project, each), each["kind"]
    assert permitted(
        project, {"apiVersion": "fileprocessing.internal/v1alpha1", "kind": "Department", "metadata": metadata}
    )
    for kind, group in (("Secret", "v1"), ("Job", "batch/v1"), ("AppProject", "argoproj.io/v1alpha1")):
        assert not permitted(project, {"apiVersion": group, "kind": kind, "metadata": metadata})
