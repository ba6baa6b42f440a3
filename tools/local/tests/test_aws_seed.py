import json
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError
from jose import jwt
from tools.local.tests.conftest import Aws

from local import names
from local.names import DEMO_USERS, PASSWORD, DemoUser

pytestmark = pytest.mark.slow


def access_token(aws: Aws, user: str, password: str = PASSWORD) -> str:
    answer = aws.client("cognito-idp").initiate_auth(
        ClientId=names.PUBLIC_CLIENT,
        AuthFlow="USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": user, "PASSWORD": password},
    )
    return str(answer["AuthenticationResult"]["AccessToken"])


@pytest.mark.parametrize("user", DEMO_USERS, ids=lambda user: user.name)
def test_a_demo_user_gets_a_token_with_exactly_their_groups(aws: Aws, user: DemoUser) -> None:
    with urllib.request.urlopen(f"{aws.url}/{names.POOL}/.well-known/jwks.json", timeout=5) as response:  # noqa: S310
        keys = json.load(response)
    claims = jwt.decode(access_token(aws, user.name), keys, algorithms=["RS256"], issuer=names.COGNITO_ISSUER)
    assert claims["token_use"] == "access"
    assert claims["client_id"] == names.PUBLIC_CLIENT
    assert claims["username"] == user.name
    assert set(claims.get("cognito:groups", [])) == set(user.groups)


def test_a_wrong_password_gets_nothing(aws: Aws) -> None:
    with pytest.raises(ClientError, match="NotAuthorized"):
        access_token(aws, "alice", "wrong")


def test_every_data_set_of_every_department_is_in_its_place(aws: Aws) -> None:
    found = aws.client("s3").list_objects_v2(Bucket=names.DATA_BUCKET)["Contents"]
    assert {each["Key"] for each in found} == {
        "departments/mcp-finance/rates.csv",
        "departments/mcp-finance/vendors.parquet",
        "departments/mcp-hr/employees.jsonl",
        "departments/mcp-legal/contracts.parquet",
    }


def test_a_message_received_ten_times_goes_to_the_dead_letter_queue(aws: Aws) -> None:
    sqs = aws.client("sqs")
    queue = sqs.get_queue_url(QueueName=names.JOBS_QUEUE)["QueueUrl"]
    dead = sqs.get_queue_url(QueueName=names.JOBS_DEAD_LETTER_QUEUE)["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody='{"job": "poison"}')
    for _ in range(10):
        assert sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0)["Messages"]
    assert not sqs.receive_message(QueueUrl=queue, VisibilityTimeout=0).get("Messages")
    assert sqs.receive_message(QueueUrl=dead)["Messages"][0]["Body"] == '{"job": "poison"}'


def test_of_many_conditional_writes_at_once_exactly_one_wins(aws: Aws) -> None:
    table = aws.client("dynamodb")

    def write(number: int) -> bool:
        item = {"id": {"S": "once"}, "by": {"N": str(number)}}
        try:
            table.put_item(TableName=names.EXCHANGES_TABLE, Item=item, ConditionExpression="attribute_not_exists(id)")
        except table.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(40))).count(True) == 1


def test_the_signing_key_signs(aws: Aws) -> None:
    kms = aws.client("kms")
    signed = kms.sign(KeyId=names.SIGNING_KEY, Message=b"claims", SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256")
    verdict = kms.verify(
        KeyId=names.SIGNING_KEY,
        Message=b"claims",
        Signature=signed["Signature"],
        SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
    )
    assert verdict["SignatureValid"]
