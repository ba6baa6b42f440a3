"""Strings that two places must spell alike; each side comes from the place that uses it, not from a list."""

import json
import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml
from tests.helpers.kustomize import ROOT
from tests.helpers.overlays import containers, environment_objects, pod_templates
from tests.helpers.workspace import defaults, module_of, settings_of

from application.aws.clients import make_clients
from application.aws.objects import Objects
from common.settings import load_settings
from infrastructure.resources import resources
from infrastructure.terraform import REGION

pytestmark = pytest.mark.slow

DECIDED_BY_AWS: Final = {
    "ALB_ARN": "arn:aws:elasticloadbalancing:ap-southeast-1:111122223333:loadbalancer/app/dev-public/0123456789abcdef",
    "CLUSTER_ISSUER": "https://oidc.eks.ap-southeast-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF",
    "COGNITO_CLIENT_IDS": '["0123456789abcdefghijklmnop"]',
    "COGNITO_ISSUER": "https://cognito-idp.ap-southeast-1.amazonaws.com/ap-southeast-1_Ab0Cd1Ef2",
    "COGNITO_PUBLIC_CLIENT_ID": "0123456789abcdefghijklmnop",
    "DATABASE_URL": "postgresql://frontend@prod-frontend.abc.ap-southeast-1.rds.amazonaws.com:5432/frontend",
    "JOBS_QUEUE_URL": "https://sqs.ap-southeast-1.amazonaws.com/111122223333/dev-jobs",
    "LOGOUT_URL": "https://dev-file-processing.auth.ap-southeast-1.amazoncognito.com/logout",
}
"""What a fact looks like that is not known before an apply."""


@pytest.fixture(params=["dev", "prod"])
def environment(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def plan(environment: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    planned: dict[str, Any] = request.getfixturevalue(f"{environment}_plan")
    return planned


def facts(plan: Mapping[str, Any]) -> dict[str, str]:
    """The ConfigMap `aws-facts`, with examples of the values that AWS decides."""
    platform = plan["output_changes"]["platform"]
    unknown = platform["after_unknown"].get("facts", {})
    return {**platform["after"]["facts"], **{key: DECIDED_BY_AWS[key] for key in unknown}}


def presigned_origin(bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Scheme and host of the address to which the application lets a browser upload."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    objects = Objects(make_clients(REGION, attempts=1).s3, bucket)
    address = urlsplit(objects.presign_part("uploads/a", "upload", 1, 1, 60))
    return f"{address.scheme}://{address.netloc}"


def test_the_page_may_upload_to_exactly_the_origin_that_the_application_presigns(
    plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's content security policy has `STORAGE_ORIGINS` as its only foreign `connect-src`."""
    told = facts(plan)
    assert json.loads(told["STORAGE_ORIGINS"]) == [presigned_origin(told["FILES_BUCKET"], monkeypatch)]


def test_the_bucket_takes_uploads_from_the_page_and_from_no_other_site(plan: dict[str, Any]) -> None:
    (cors,) = resources(plan, "aws_s3_bucket_cors_configuration")
    (rule,) = cors.values["cors_rule"]
    assert rule["allowed_origins"] == [facts(plan)["PUBLIC_APP_URL"]]
    assert rule["allowed_methods"] == ["PUT"]
    # Without this header the page cannot read a part's ETag, which completing the upload asks for.
    assert rule["expose_headers"] == ["ETag"]


def test_every_fact_is_a_setting_of_a_service_that_gets_the_facts(environment: str, plan: dict[str, Any]) -> None:
    read: set[str] = set()
    for _, template in pod_templates(environment_objects(environment)):
        sources = [each for container in containers(template) for each in container.get("envFrom", [])]
        if {"configMapRef": {"name": "aws-facts"}} in sources:
            read |= {setting.upper() for setting in defaults(module_of(template))}
    assert facts(plan).keys() - read == set()


def test_every_service_starts_with_the_facts_and_the_variables_of_its_pod(
    environment: str, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A setting that is missing, misspelled or of another form stops a service; here it fails the test instead."""
    pods = dict(pod_templates(environment_objects(environment)))
    # Langflow's packages are in an environment of their own.
    started = {name: settings for name, pod in pods.items() if (settings := settings_of(module_of(pod)))}
    for name, settings in started.items():
        template = pods[name]
        (container,) = template["spec"]["containers"]
        variables = dict(facts(plan)) if container.get("envFrom") else {}
        for variable in container.get("env", []):
            # What the pod's own fields say is a name, and what its limits say a number.
            of_pod = "1" if "resourceFieldRef" in variable.get("valueFrom", {}) else name
            variables[variable["name"]] = variable.get("value", of_pod)
        for variable in os.environ:
            monkeypatch.delenv(variable)
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        load_settings(settings)
    assert started.keys() == pods.keys() - {"frontend"}


def test_pod_identity_knows_every_service_account_by_the_name_that_its_pods_have(
    environment: str, plan: dict[str, Any]
) -> None:
    """An association with a name that no pod has gives nobody rights, and AWS does not complain."""
    ours = {
        each.values["service_account"]
        for each in resources(plan, "aws_eks_pod_identity_association")
        if each.values["namespace"] == "file-processing"
    }
    pods = {
        template["spec"].get("serviceAccountName")
        for _, template in pod_templates(environment_objects(environment))
        if "aws_region" in defaults(module_of(template))  # the others call nothing of AWS
    }
    # The operator names the departments' ServiceAccounts, and makes their associations.
    assert ours == pods - {None}


def test_pod_identity_knows_every_controller_by_the_name_that_its_chart_is_given(plan: dict[str, Any]) -> None:
    given = set()
    for file in (ROOT / "apps/platform").glob("*.yaml"):
        spec = yaml.safe_load(file.read_text()).get("spec", {})
        values = spec.get("source", {}).get("helm", {}).get("valuesObject", {})
        for account in service_accounts(values):
            given.add((spec["destination"]["namespace"], account))
    known = {
        (each.values["namespace"], each.values["service_account"])
        for each in resources(plan, "aws_eks_pod_identity_association")
        if each.module.endswith("workload_identity") and each.values["namespace"] != "file-processing"
    }
    assert known == given


def service_accounts(values: Any) -> set[str]:
    """The names below each `serviceAccount` of a chart's values."""
    if not isinstance(values, dict):
        return set()
    found = set()
    for key, value in values.items():
        if key == "serviceAccount" and isinstance(value, dict):
            found |= {
                account for each in (value, *value.values()) if isinstance(each, dict) and (account := each.get("name"))
            }
        else:
            found |= service_accounts(value)
    return found
