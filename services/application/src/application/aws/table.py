"""The DynamoDB table: plain items in and out, and writes that depend on what is there.

One table holds everything. Keys are ``pk`` and ``sk``; the index ``gsi1`` lists jobs that are not finished by their
last heartbeat; ``expires_at`` (seconds) lets DynamoDB delete an item. DynamoDB does that late, so whoever reads an
item compares ``expires_at`` with the clock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError

from application.aws.clients import code
from application.errors import Conflict

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import DeleteTypeDef, PutTypeDef, TransactWriteItemTypeDef, UpdateTypeDef

Value = str | int | bool | bytes
Item = dict[str, Value]
Key = tuple[str, str]

Listed = TypeVar("Listed")

INDEX = "gsi1"
_TRANSACTION_TRIES = 8
_BATCH = 100


def encode(item: Mapping[str, Value | None]) -> dict[str, Any]:
    """An item as DynamoDB writes it; what is None is left out."""
    encoded: dict[str, Any] = {}
    for name, value in item.items():
        match value:
            case None:
                continue
            case bool():
                encoded[name] = {"BOOL": value}
            case int():
                encoded[name] = {"N": str(value)}
            case bytes():
                encoded[name] = {"B": value}
            case str():
                encoded[name] = {"S": value}
    return encoded


def decode(item: Mapping[str, Any]) -> Item:
    """An item of the types that ``encode`` takes."""
    decoded: Item = {}
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        decoded[name] = int(value) if kind == "N" else value
    return decoded


class Table:
    """Reads are consistent unless they say otherwise."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        """The item, or None."""
        answer = self._client.get_item(TableName=self._name, Key=_key(key), ConsistentRead=True)
        return decode(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key]) -> list[Item]:
        """The items that exist, in the order of ``keys``."""
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), _BATCH):
            asked: dict[str, Any] = {
                self._name: {"Keys": [_key(key) for key in keys[start : start + _BATCH]], "ConsistentRead": True}
            }
            while asked:
                answer = self._client.batch_get_item(RequestItems=asked)
                for raw in answer["Responses"].get(self._name, []):
                    item = decode(raw)
                    found[str(item["pk"]), str(item["sk"])] = item
                asked = dict(answer.get("UnprocessedKeys") or {})
        return [found[key] for key in keys if key in found]

    def query(
        self, pk: str, prefix: str, *, newest_first: bool = False, before: str | None = None, page: int = 100
    ) -> Iterator[Item]:
        """The items of a partition whose ``sk`` starts with ``prefix``, in order; ``before``: after that ``sk``."""
        request: dict[str, Any] = {
            "TableName": self._name,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": encode({":pk": pk, ":prefix": prefix}),
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
            "Limit": page,
        }
        if before is not None:
            request["ExclusiveStartKey"] = _key((pk, before))
        yield from self._pages(request)

    def page(
        self, pk: str, prefix: str, limit: int, before: str | None, read: Callable[[list[str]], list[Listed]]
    ) -> tuple[list[Listed], str | None]:
        """The newest ``limit`` records to which pointers of a partition lead, and the place after them if any follow.

        Args:
            pk: The partition.
            prefix: What the pointers' ``sk`` starts with; a time follows.
            limit: Most records to return.
            before: A place that was returned before; the first page without it.
            read: The records of these ``id``; those that are gone are left out.
        """
        found: list[Listed] = []
        place: str | None = None
        batch: list[str] = []
        for pointer in self.query(pk, prefix, newest_first=True, before=before, page=limit + 1):
            if len(found) + len(batch) == limit:
                found += read(batch)
                batch = []
                if len(found) == limit:
                    return found, place
            place = str(pointer["sk"])
            batch.append(str(pointer["id"]))
        return found + read(batch), None

    def query_index(self, pk: str, below: str) -> Iterator[Item]:
        """The items of a partition of the index with ``gsi1sk`` less than ``below``; a new one may be missed."""
        yield from self._pages(
            {
                "TableName": self._name,
                "IndexName": INDEX,
                "KeyConditionExpression": "gsi1pk = :pk AND gsi1sk < :below",
                "ExpressionAttributeValues": encode({":pk": pk, ":below": below}),
            }
        )

    def _pages(self, request: dict[str, Any]) -> Iterator[Item]:
        while True:
            answer = self._client.query(**request)
            for item in answer["Items"]:
                yield decode(item)
            if not answer.get("LastEvaluatedKey"):
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, item: Mapping[str, Value | None]) -> None:
        """Write the whole item, whatever was there."""
        self._client.put_item(TableName=self._name, Item=encode(item))

    def delete(self, key: Key) -> None:
        """Delete the item if it is there."""
        self._client.delete_item(TableName=self._name, Key=_key(key))

    def update(
        self,
        key: Key,
        changes: Mapping[str, Value | None],
        condition: str,
        values: Mapping[str, Value],
        add: Mapping[str, int] | None = None,
    ) -> Item:
        """Set ``changes`` (None removes) and add to counters, if ``condition`` holds; the item as it is then.

        Names in ``condition`` are written ``#name``, values ``:name``.

        Raises:
            Conflict: The condition does not hold.
        """
        try:
            answer = self._client.update_item(
                TableName=self._name, ReturnValues="ALL_NEW", **_update(key, changes, condition, values, add)
            )
        except ClientError as error:
            if code(error) == "ConditionalCheckFailedException":
                raise Conflict from error
            raise
        return decode(answer["Attributes"])

    def transact(self, writes: Sequence[TransactWriteItemTypeDef]) -> None:
        """Do all of ``writes`` or none.

        Raises:
            Conflict: One of the conditions does not hold.
        """
        for attempt in range(1, _TRANSACTION_TRIES + 1):
            try:
                self._client.transact_write_items(TransactItems=writes)
            except ClientError as error:
                if code(error) != "TransactionCanceledException":
                    raise
                reasons = {str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])}
                if "ConditionalCheckFailed" in reasons or attempt == _TRANSACTION_TRIES:
                    raise Conflict from error
                # Another transaction was at the same item at that moment, or it was throttled.
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - spreads tries, guards nothing
            else:
                return

    def check(self) -> None:
        """Ask whether the table answers."""
        self.get(("CHECK", "CHECK"))

    def write_put(self, item: Mapping[str, Value | None], *, is_new: bool) -> TransactWriteItemTypeDef:
        """A transaction's put; conditional on there being no such item where ``is_new``."""
        put: PutTypeDef = {"TableName": self._name, "Item": encode(item)}
        if is_new:
            put["ConditionExpression"] = "attribute_not_exists(pk)"
        return {"Put": put}

    def write_update(
        self,
        key: Key,
        changes: Mapping[str, Value | None],
        condition: str,
        values: Mapping[str, Value],
        add: Mapping[str, int] | None = None,
    ) -> TransactWriteItemTypeDef:
        """A transaction's update, as in ``update``."""
        update = cast("UpdateTypeDef", {"TableName": self._name, **_update(key, changes, condition, values, add)})
        return {"Update": update}

    def write_delete(self, key: Key, seen: Mapping[str, Value] | None = None) -> TransactWriteItemTypeDef:
        """A transaction's delete of an item that must be there, with the attributes that were ``seen`` if any."""
        delete: DeleteTypeDef = {
            "TableName": self._name,
            "Key": _key(key),
            "ConditionExpression": " AND ".join(
                ["attribute_exists(pk)", *(f"#{name} = :{name}" for name in seen or ())]
            ),
        }
        if seen:
            delete["ExpressionAttributeNames"] = {f"#{name}": name for name in seen}
            delete["ExpressionAttributeValues"] = encode({f":{name}": value for name, value in seen.items()})
        return {"Delete": delete}


def _key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _update(
    key: Key,
    changes: Mapping[str, Value | None],
    condition: str,
    values: Mapping[str, Value],
    add: Mapping[str, int] | None,
) -> dict[str, Any]:
    added = add or {}
    sets = [f"#{name} = :set_{name}" for name, value in changes.items() if value is not None]
    removes = [f"#{name}" for name, value in changes.items() if value is None]
    adds = [f"#{name} :add_{name}" for name in added]
    parts = (("SET", sets), ("REMOVE", removes), ("ADD", adds))
    # Names are always written by placeholder: `status` and others are reserved words of DynamoDB's.
    names = {part.strip("(),") for part in condition.replace("(", " ").split() if part.startswith("#")}
    names |= {f"#{name}" for name in (*changes, *added)}
    return {
        "Key": _key(key),
        "UpdateExpression": " ".join(f"{verb} {', '.join(terms)}" for verb, terms in parts if terms),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {name: name[1:] for name in names},
        "ExpressionAttributeValues": encode(
            {f":set_{name}": value for name, value in changes.items()}
            | {f":add_{name}": value for name, value in added.items()}
            | {f":{name}": value for name, value in values.items()}
        ),
    }
