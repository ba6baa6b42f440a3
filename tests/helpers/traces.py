"""What a stack keeps: to see that something left nothing behind."""

from dataclasses import dataclass

from tests.helpers.stack import Stack

from local import names


@dataclass(frozen=True)
class Traces:
    """The keys of objects, of unfinished uploads and of items."""

    objects: frozenset[str]
    uploads: frozenset[str]
    items: frozenset[str]

    def beyond(self, before: "Traces") -> "Traces":
        """What was not there before."""
        return Traces(self.objects - before.objects, self.uploads - before.uploads, self.items - before.items)


NOTHING = Traces(frozenset(), frozenset(), frozenset())


def traces(stack: Stack) -> Traces:
    """What is there now, of files and jobs."""
    bucket, table = names.FILES_BUCKET, names.JOBS_TABLE
    s3, dynamodb = stack.client("s3"), stack.client("dynamodb")
    objects = [
        entry["Key"]
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        for entry in page.get("Contents", ())
    ]
    uploads = [
        f"{entry['Key']} {entry['UploadId']}"
        for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
        for entry in page.get("Uploads", ())
    ]
    items = [
        f"{item['pk']['S']} {item['sk']['S']}"
        for page in dynamodb.get_paginator("scan").paginate(TableName=table, ProjectionExpression="pk, sk")
        for item in page["Items"]
    ]
    return Traces(frozenset(objects), frozenset(uploads), frozenset(items))


def delete_object(stack: Stack, key: str) -> None:
    """Make an object vanish, as nothing of ours would."""
    stack.client("s3").delete_object(Bucket=names.FILES_BUCKET, Key=key)
