import pytest
from botocore.exceptions import ClientError
from tools.local.tests.conftest import Aws

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::123456789012:role/local-department"
CLUSTER = "local-file-processing"


def error_code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def test_an_association_is_made_found_and_ended(aws: Aws) -> None:
    eks = aws.client("eks")
    asked = {"clusterName": CLUSTER, "namespace": "file-processing", "serviceAccount": "mcp-finance"}
    made = eks.create_pod_identity_association(**asked, roleArn=ROLE)["association"]
    assert made["roleArn"] == ROLE
    identifier = made["associationId"]
    assert eks.describe_pod_identity_association(clusterName=CLUSTER, associationId=identifier)["association"] == made
    found = eks.list_pod_identity_associations(**asked)["associations"]
    assert [each["associationId"] for each in found] == [identifier]

    with pytest.raises(ClientError) as refused:
        eks.create_pod_identity_association(**asked, roleArn=ROLE)
    assert error_code(refused) == "ResourceInUseException"

    eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=identifier)
    assert not eks.list_pod_identity_associations(**asked)["associations"]
    with pytest.raises(ClientError) as refused:
        eks.delete_pod_identity_association(clusterName=CLUSTER, associationId=identifier)
    assert error_code(refused) == "ResourceNotFoundException"


def test_a_long_list_comes_in_pages_and_of_one_cluster_and_namespace(aws: Aws) -> None:
    eks = aws.client("eks")
    for number in range(130):
        eks.create_pod_identity_association(
            clusterName="paged", namespace="many", serviceAccount=f"mcp-{number}", roleArn=ROLE
        )
    eks.create_pod_identity_association(clusterName="paged", namespace="other", serviceAccount="mcp-1", roleArn=ROLE)
    pages = list(eks.get_paginator("list_pod_identity_associations").paginate(clusterName="paged", namespace="many"))
    assert [len(page["associations"]) for page in pages] == [100, 30]
    assert {each["serviceAccount"] for page in pages for each in page["associations"]} == {
        f"mcp-{number}" for number in range(130)
    }
    assert not eks.list_pod_identity_associations(clusterName="another")["associations"]


def test_tags_need_a_right_of_their_own_which_the_operator_does_not_have(aws: Aws) -> None:
    asked = {"clusterName": CLUSTER, "namespace": "file-processing", "serviceAccount": "mcp-tagged", "roleArn": ROLE}
    with pytest.raises(ClientError) as refused:
        aws.client("eks").create_pod_identity_association(**asked, tags={"managed-by": "x"})
    assert error_code(refused) == "AccessDeniedException"
