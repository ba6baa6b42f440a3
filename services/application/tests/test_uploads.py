import time
from typing import Any

import pytest
import urllib3
from services.application.tests.support.client import Answer, Client
from services.application.tests.support.stack import Stack

pytestmark = pytest.mark.slow

CONTENT = b"vendor_id,number\n" + b"V-00001,123456789\n" * 1_100_000


@pytest.fixture(autouse=True)
def leaves_nothing(stack: Stack) -> None:
    assert stack.multipart_uploads() == []


def begin(client: Client, size: int = len(CONTENT), name: str = "large.csv") -> dict[str, Any]:
    answer = client.call("POST", "/api/uploads", document={"name": name, "size": size})
    assert answer.status == 201, answer.body
    return dict(answer.json())


def put(upload: dict[str, Any], content: bytes = CONTENT) -> list[dict[str, Any]]:
    """Each part to its URL, without credentials of ours."""
    size = upload["part_size"]
    parts = []
    for number, part in enumerate(upload["parts"]):
        answer = urllib3.request("PUT", part["url"], body=content[number * size : (number + 1) * size])
        assert answer.status == 200, answer.data
        parts.append({"number": part["number"], "etag": answer.headers["etag"]})
    return parts


def complete(client: Client, upload: dict[str, Any], parts: list[dict[str, Any]]) -> Answer:
    return client.call("POST", f"/api/uploads/{upload['id']}/complete", document={"parts": parts})


def test_a_large_file_goes_to_s3_in_parts_and_becomes_a_file(stack: Stack, alice: Client) -> None:
    upload = begin(alice)
    assert len(upload["parts"]) == 2
    assert upload["part_size"] * 2 >= len(CONTENT)
    parts = put(upload)
    answer = complete(alice, upload, parts[::-1])
    file = answer.json()
    assert answer.status == 201, file
    assert (file["name"], file["size"], file["format"]) == ("large.csv", len(CONTENT), "csv")
    assert answer.headers["location"] == f"/api/files/{file['id']}"
    assert alice.call("GET", f"/api/files/{file['id']}").json() == file
    again = complete(alice, upload, parts)
    assert (again.status, again.json()) == (201, file)
    body = stack.s3.get_object(Bucket=stack.bucket, Key=f"uploads/{file['id']}")["Body"].read()
    assert body == CONTENT


def test_the_parts_urls_are_for_their_sizes_and_expire(alice: Client) -> None:
    upload = begin(alice)
    assert upload["expires_at"].endswith("Z")
    for part in upload["parts"]:
        query = urllib3.util.parse_url(part["url"]).query
        assert query is not None
        assert "X-Amz-Expires=21600" in query
        assert "content-length" in query
    assert alice.call("DELETE", f"/api/uploads/{upload['id']}").status == 204


def test_an_upload_that_is_given_up_leaves_nothing(stack: Stack, alice: Client) -> None:
    upload = begin(alice)
    parts = put(upload)
    assert alice.call("DELETE", f"/api/uploads/{upload['id']}").status == 204
    assert stack.multipart_uploads() == []
    assert alice.call("DELETE", f"/api/uploads/{upload['id']}").slug == "upload-not-found"
    assert complete(alice, upload, parts).slug == "upload-not-found"


def refused(stack: Stack, client: Client, upload: dict[str, Any], parts: list[dict[str, Any]]) -> str:
    answer = complete(client, upload, parts)
    slug = answer.slug
    assert stack.multipart_uploads() == []
    assert stack.keys(f"uploads/{upload['id']}") == []
    assert client.call("GET", f"/api/files/{upload['id']}").slug == "file-not-found"
    assert complete(client, upload, parts).slug == "upload-not-found"
    return slug


def test_an_upload_of_another_size_or_kind_than_it_said_is_refused_and_not_kept(stack: Stack, alice: Client) -> None:
    upload = begin(alice, 1000)
    assert refused(stack, alice, upload, put(upload, b"vendor_id\n")) == "wrong-size"
    upload = begin(alice, 1000)
    assert refused(stack, alice, upload, put(upload, b"\x89PNG" + bytes(996))) == "wrong-format"


def test_parts_that_were_not_uploaded_are_refused(stack: Stack, alice: Client) -> None:
    upload = begin(alice)
    parts = put(upload)
    parts[1]["etag"] = '"00000000000000000000000000000000"'
    assert refused(stack, alice, upload, parts) == "invalid-parts"
    upload = begin(alice)
    assert refused(stack, alice, upload, put(upload)[:1]) == "wrong-size"


@pytest.mark.parametrize(
    ("document", "slug"),
    [
        ({"name": "a.csv", "size": 0}, "invalid-request"),
        ({"name": "a.csv", "size": True}, "invalid-request"),
        ({"name": "a.csv", "size": "5"}, "invalid-request"),
        ({"name": "a.csv", "size": 33 << 20}, "too-large"),
        ({"name": "../a.csv", "size": 1}, "invalid-name"),
        ({"name": "a.csv"}, "invalid-request"),
        ({"name": "a.csv", "size": 1, "key": "x"}, "invalid-request"),
    ],
)
def test_an_upload_that_makes_no_sense_is_refused(alice: Client, document: dict[str, Any], slug: str) -> None:
    assert alice.call("POST", "/api/uploads", document=document).slug == slug


def test_anothers_upload_is_the_same_as_none(stack: Stack, alice: Client) -> None:
    upload = begin(alice, 18)
    mallory = Client(stack, ("finance",))
    assert mallory.call("DELETE", f"/api/uploads/{upload['id']}").slug == "upload-not-found"
    assert complete(mallory, upload, [{"number": 1, "etag": "x"}]).slug == "upload-not-found"
    assert complete(alice, upload, put(upload, b"vendor_id\nV-00001\n")).status == 201


def test_an_upload_whose_time_is_over_is_gone(stack: Stack, alice: Client) -> None:
    upload = begin(alice, 18)
    stack.dynamodb.update_item(
        TableName=stack.table,
        Key={"pk": {"S": f"UPLOAD#{upload['id']}"}, "sk": {"S": "UPLOAD"}},
        UpdateExpression="SET expires_at = :then",
        ExpressionAttributeValues={":then": {"N": str(int(time.time()) - 1)}},
    )
    assert complete(alice, upload, [{"number": 1, "etag": "x"}]).slug == "upload-not-found"
    stack.s3.abort_multipart_upload(
        Bucket=stack.bucket,
        Key=f"uploads/{upload['id']}",
        UploadId=stack.s3.list_multipart_uploads(Bucket=stack.bucket)["Uploads"][0]["UploadId"],
    )
