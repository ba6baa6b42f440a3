"""Reading a presigned URL: whatever is accepted can only be a `GetCallerIdentity` for the one endpoint."""

from urllib.parse import parse_qsl, urlencode

import pytest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from services.agentgateway.tests.presigning import presign

from agentgateway.http.errors import InvalidExchange
from agentgateway.identity.roles import RoleGroups
from agentgateway.identity.sts import parse_presigned

ENDPOINT = "https://sts.eu-west-1.amazonaws.com"
CREDENTIALS = Credentials("ASIATESTING00000000", "secret", "a/session+token==")
FINANCE = frozenset({"finance"})


def good(expires: int = 60) -> str:
    return presign(CREDENTIALS, ENDPOINT, "api.example.com", expires=expires)


def accepted(url: str) -> bool:
    try:
        parse_presigned(url, ENDPOINT, "eu-west-1")
    except InvalidExchange:
        return False
    return True


def test_what_botocore_presigns_is_accepted_and_keeps_every_parameter() -> None:
    request = parse_presigned(good(), ENDPOINT, "eu-west-1")
    assert request.parameters["X-Amz-Security-Token"] == "a/session+token=="
    assert len(request.signature) == 64


@settings(deadline=None)
@given(st.text())
def test_no_text_is_an_accident(text: str) -> None:
    assert not accepted(text)
    assert not accepted(f"{ENDPOINT}/?{text}")


@settings(deadline=None)
@given(
    name=st.sampled_from(
        [
            "Action",
            "Version",
            *(f"X-Amz-{part}" for part in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"]),
        ]
    ),
    value=st.text(max_size=40) | st.sampled_from(["-1", "+60", "60.0", "\u0666\u0660", "6 0", "060", ""]),
)
def test_a_parameter_of_another_form_is_refused(name: str, value: str) -> None:
    address, _, query = good().partition("?")
    parameters = dict(parse_qsl(query))
    if parameters[name] == value or (name == "X-Amz-Expires" and value in ("060", *map(str, range(1, 61)))):
        return
    assert not accepted(f"{address}?{urlencode({**parameters, name: value})}")


@settings(deadline=None)
@given(name=st.text(min_size=1, max_size=20), value=st.text(max_size=20))
def test_one_parameter_more_is_refused(name: str, value: str) -> None:
    assert not accepted(f"{good()}&{urlencode({name: value})}")


@settings(deadline=None)
@given(st.sampled_from(["Action", "Version", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-Signature"]))
def test_one_parameter_less_is_refused(name: str) -> None:
    address, _, query = good().partition("?")
    parameters = dict(parse_qsl(query))
    del parameters[name]
    assert not accepted(f"{address}?{urlencode(parameters)}")


def test_a_session_belongs_to_its_role_whatever_the_roles_path_is() -> None:
    role = "arn:aws:iam::123456789012:role/a/b/Batch"
    groups = RoleGroups({role: FINANCE})
    assert groups.of_session("arn:aws:sts::123456789012:assumed-role/Batch/me@host") == (role, FINANCE)
    for arn in (
        role,
        "arn:aws:sts::123456789012:assumed-role/Batch",
        "arn:aws:sts::123456789012:assumed-role/a/b/Batch/me",
        "arn:aws:sts::123456789012:assumed-role/Batch/me\n",
        "arn:aws:sts::123456789013:assumed-role/Batch/me",
    ):
        assert groups.of_session(arn) is None


@pytest.mark.parametrize(
    "arns",
    [
        ["Batch"],
        ["arn:aws:iam::123456789012:user/Batch"],
        ["arn:aws:iam::123456789012:role/*"],
        ["arn:aws:iam::123456789012:role/x/Batch", "arn:aws:iam::123456789012:role/y/Batch"],
    ],
    ids=str,
)
def test_a_map_of_roles_that_means_nothing_or_two_things_is_refused(arns: list[str]) -> None:
    with pytest.raises(ValueError, match="role"):
        RoleGroups(dict.fromkeys(arns, FINANCE))
