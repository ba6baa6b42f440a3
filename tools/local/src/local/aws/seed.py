"""What AWS holds when the services start: as Terraform makes it, by the same API."""

import json
import secrets
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import boto3

from common.departments import Department, InvalidDepartment, parse_department
from local import names
from local.names import DEMO_USERS, GROUPS, PASSWORD, POOL

ATTRIBUTES: Final = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "gsi1pk", "gsi1sk")]


def client(service: str, url: str, access_key: str = "local", secret: str = "local") -> Any:  # noqa: S107 - of nobody
    """A client of one service of the stand-in, which looks at credentials only where it is STS."""
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=url,
        region_name=names.REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret,
    )


def seed(url: str, departments_dir: Path, data_dir: Path, app_url: str, api_url: str) -> None:
    """Make everything that the services need; each kind in a thread of its own."""
    departments = list(read_departments(departments_dir))
    with ThreadPoolExecutor() as pool:
        done = [
            pool.submit(_storage, client("s3", url), departments, data_dir, app_url),
            pool.submit(_queues, client("sqs", url)),
            pool.submit(_tables, client("dynamodb", url)),
            pool.submit(_people, client("cognito-idp", url), departments, app_url, api_url),
            pool.submit(_signing_key, client("kms", url)),
            pool.submit(_on_premises, client("iam", url)),
            pool.submit(_secrets, client("secretsmanager", url)),
        ]
        for each in done:
            each.result()


def read_departments(folder: Path) -> Iterable[Department]:
    """The valid departments of a folder; a broken file is the gateway's to complain about."""
    for file in sorted(folder.glob("*.yaml")):
        try:
            yield parse_department(file.read_text())
        except InvalidDepartment:
            continue


def _storage(s3: Any, departments: list[Department], data_dir: Path, app_url: str) -> None:
    for bucket in (names.FILES_BUCKET, names.DATA_BUCKET):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": names.REGION})
    # As Terraform's module has it: the browser puts the parts of large files, and reads each part's ETag.
    rule = {"AllowedOrigins": [app_url], "AllowedMethods": ["PUT"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"]}
    s3.put_bucket_cors(Bucket=names.FILES_BUCKET, CORSConfiguration={"CORSRules": [rule]})
    for department in departments:
        for dataset in department.spec.datasets:
            file = data_dir / department.name / dataset.object
            if file.is_file():
                s3.upload_file(str(file), names.DATA_BUCKET, f"departments/{department.audience}/{dataset.object}")


def _queues(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName=names.JOBS_DEAD_LETTER_QUEUE)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    redrive = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "10"}}'
    sqs.create_queue(QueueName=names.JOBS_QUEUE, Attributes={"RedrivePolicy": redrive, "VisibilityTimeout": "60"})


def _secrets(manager: Any) -> None:
    manager.create_secret(
        Name=names.FRONTEND_SECRET, SecretString=json.dumps({"SECRET_KEY": secrets.token_urlsafe(32)})
    )


def _tables(dynamodb: Any) -> None:
    dynamodb.create_table(
        TableName=names.JOBS_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=ATTRIBUTES,
        KeySchema=_key("pk", "sk"),
        GlobalSecondaryIndexes=[
            {"IndexName": "gsi1", "KeySchema": _key("gsi1pk", "gsi1sk"), "Projection": {"ProjectionType": "ALL"}}
        ],
    )
    dynamodb.create_table(
        TableName=names.EXCHANGES_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=_key("id"),
    )
    for table in (names.JOBS_TABLE, names.EXCHANGES_TABLE):
        dynamodb.update_time_to_live(
            TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
        )


def _key(partition: str, sort: str | None = None) -> list[dict[str, str]]:
    hash_key = {"AttributeName": partition, "KeyType": "HASH"}
    return [hash_key] if sort is None else [hash_key, {"AttributeName": sort, "KeyType": "RANGE"}]


def _people(cognito: Any, departments: list[Department], app_url: str, api_url: str) -> None:
    # `local.aws.server` makes pool and clients be called by these names, so that services know them beforehand.
    cognito.create_user_pool(PoolName=POOL.partition("_")[2], Policies={"PasswordPolicy": {"MinimumLength": 8}})
    flows = {
        "AllowedOAuthFlows": ["code"],
        "AllowedOAuthScopes": ["openid", "email", "profile"],
        "AllowedOAuthFlowsUserPoolClient": True,
        "SupportedIdentityProviders": ["COGNITO"],
        "AccessTokenValidity": 1,
        "TokenValidityUnits": {"AccessToken": "hours"},
        "PreventUserExistenceErrors": "ENABLED",
        "ReadAttributes": ["email", "email_verified"],
    }
    cognito.create_user_pool_client(
        UserPoolId=POOL,
        ClientName=names.PUBLIC_CLIENT,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        CallbackURLs=[f"{api_url}/oauth/callback"],
        **flows,
    )
    cognito.create_user_pool_client(
        UserPoolId=POOL,
        ClientName=names.ALB_CLIENT,
        GenerateSecret=True,
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        CallbackURLs=[f"{app_url}/oauth2/idpresponse"],
        LogoutURLs=[app_url],
        **flows,
    )
    memberships = groups_of_users(departments)
    for group in sorted({*GROUPS, *(group for groups in memberships.values() for group in groups)}):
        cognito.create_group(UserPoolId=POOL, GroupName=group)
    for user in DEMO_USERS:
        cognito.admin_create_user(
            UserPoolId=POOL,
            Username=user.name,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": user.email}, {"Name": "email_verified", "Value": "true"}],
        )
        cognito.admin_set_user_password(UserPoolId=POOL, Username=user.name, Password=PASSWORD, Permanent=True)
        for group in memberships[user.name]:
            cognito.admin_add_user_to_group(UserPoolId=POOL, Username=user.name, GroupName=group)


def groups_of_users(departments: list[Department]) -> dict[str, list[str]]:
    """Each demo user's groups. Of departments that are not ours, dana may see all but what is restricted, frank all."""
    groups = {user.name: list(user.groups) for user in DEMO_USERS}
    for department in departments:
        access = department.spec.access
        if not set(access.groups) & set(GROUPS):
            groups["dana"] += access.groups
            groups["frank"] += [*access.groups, *access.restricted_groups]
    return {user: list(dict.fromkeys(names)) for user, names in groups.items()}


def _signing_key(kms: Any) -> None:
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=names.SIGNING_KEY, TargetKeyId=key)


def _on_premises(iam: Any) -> None:
    iam.create_user(UserName=names.ON_PREMISES_USER)
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        f'"Principal": {{"AWS": "arn:aws:iam::{names.ACCOUNT}:user/{names.ON_PREMISES_USER}"}}}}]}}'
    )
    for role in names.ON_PREMISES_ROLES:
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)


def assume_role(url: str, role: str) -> dict[str, str]:
    """Credentials of a role, by a new access key of the user who may assume it."""
    key = client("iam", url).create_access_key(UserName=names.ON_PREMISES_USER)["AccessKey"]
    sts = client("sts", url, key["AccessKeyId"], key["SecretAccessKey"])
    given = sts.assume_role(RoleArn=names.role_arn(role), RoleSessionName=names.ON_PREMISES_USER)["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }
