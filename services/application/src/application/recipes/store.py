"""Recipes in the table; they do not expire. Each change is one transaction, on the condition of what was seen.

Items of one recipe: the recipe itself with the list of its versions, the choices of each version, and pointers to it
from its owner, by its name, and from each group that it is shared with. An owner and a group have an item that counts
their recipes.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from application.aws.table import Key, Table, Value
from application.errors import Conflict
from application.jobs.requests import Choices
from application.recipes.records import Found, Recipe, recipe_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TransactWriteItemTypeDef

MOST_OF_OWNER = 100
MOST_OF_GROUP = 200
MOST_VERSIONS = 20
MOST_BYTES = 350_000
"""Of a version's choices, compressed; DynamoDB's items are at most 400 KB."""

_COUNT = "RECIPES"


class RecipeStore:
    """Blocking, safe in threads."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, recipe: str) -> Recipe | None:
        """The recipe with this identifier, whoever owns it."""
        item = self._table.get(recipe_key(recipe))
        return None if item is None else Recipe.of_item(item)

    def of_owner(self, owner: str, name: str = "") -> list[Recipe]:
        """The owner's recipes by name; with ``name``, the one called so."""
        return self._pointed([f"OWNER#{owner}"], f"RECIPE#{name}#" if name else "RECIPE#")

    def shared(self, groups: Iterable[str], name: str = "") -> list[Recipe]:
        """The recipes that are shared with some of ``groups``, by name; with ``name``, those called so."""
        pointed = self._pointed([f"GROUP#{group}" for group in groups], f"RECIPE#{name}#" if name else "RECIPE#")
        return sorted(pointed, key=lambda recipe: (recipe.name, recipe.id))

    def _pointed(self, partitions: Iterable[str], prefix: str) -> list[Recipe]:
        found = [str(pointer["id"]) for pk in partitions for pointer in self._table.query(pk, prefix)]
        return [
            Recipe.of_item(item) for item in self._table.get_many([recipe_key(each) for each in dict.fromkeys(found)])
        ]

    def has_most(self, owner: str) -> bool:
        """Whether the owner has as many recipes as one may have."""
        item = self._table.get((f"OWNER#{owner}", _COUNT))
        return item is not None and int(item["recipes"]) >= MOST_OF_OWNER

    def choices(self, recipe: Recipe, version: int) -> Choices | None:
        """What a version has; None where there is none (any more)."""
        item = self._table.get(_version_key(recipe, version))
        if item is None:
            return None
        data = item["choices"]
        assert isinstance(data, bytes)  # noqa: S101 - as it was written
        return Choices.model_validate_json(gzip.decompress(data))

    def create(self, recipe: Recipe, choices: bytes) -> None:
        """Keep a new recipe with its first version, which is ``packed``.

        Raises:
            Conflict: The owner has one of this name, or as many as one may have.
        """
        table = self._table
        pk, sk = recipe.key
        table.transact(
            [
                table.write_put({"pk": pk, "sk": sk, **recipe.attributes()}, is_new=True),
                self._put_version(recipe, choices),
                table.write_put(_pointer(_owned(recipe), recipe), is_new=True),
                self._count(f"OWNER#{recipe.owner}", MOST_OF_OWNER),
            ]
        )

    def add_version(self, recipe: Recipe, choices: bytes) -> None:
        """Keep the newest of ``recipe.versions``, and forget the oldest of too many.

        Raises:
            Conflict: Another version was added meanwhile, or the recipe is gone.
        """
        table = self._table
        changes = recipe.attributes("version", "versions", "last_run", "owner_name")
        writes = [
            table.write_update(recipe.key, changes, "#version = :seen", {"seen": recipe.version - 1}),
            self._put_version(recipe, choices),
        ]
        if recipe.version > MOST_VERSIONS:
            writes.append(table.write_delete(_version_key(recipe, recipe.version - MOST_VERSIONS)))
        table.transact(writes)

    def share(self, recipe: Recipe, groups: tuple[str, ...]) -> None:
        """Share a recipe with these groups and no others.

        Raises:
            Conflict: It was changed meanwhile, or one of the groups has as many as a group may have.
        """
        table = self._table
        changed = recipe.model_copy(update={"groups": groups})
        seen = recipe.attributes("groups")["groups"] or ""
        writes = [table.write_update(recipe.key, changed.attributes("groups"), "#groups = :seen", {"seen": seen})]
        for group in sorted(set(groups) - set(recipe.groups)):
            writes.append(table.write_put(_pointer(_shared(group, recipe), recipe), is_new=True))
            writes.append(self._count(f"GROUP#{group}", MOST_OF_GROUP))
        writes += self._unshared(recipe, sorted(set(recipe.groups) - set(groups)))
        table.transact(writes)

    def delete(self, recipe: Recipe) -> None:
        """Forget a recipe and its versions; what a crash leaves of it can be deleted again.

        Raises:
            Conflict: It was changed or deleted meanwhile.
        """
        table = self._table
        for each in recipe.versions[:-1]:
            table.delete(_version_key(recipe, each.version))
        seen: dict[str, Value] = {"version": recipe.version, "groups": recipe.attributes("groups")["groups"] or ""}
        table.transact(
            [
                table.write_delete(recipe.key, seen),
                table.write_delete(_version_key(recipe, recipe.version)),
                table.write_delete(_owned(recipe)),
                self._uncount(f"OWNER#{recipe.owner}"),
                *self._unshared(recipe, recipe.groups),
            ]
        )

    def note_run(self, recipe: str, found: Found) -> None:
        """Keep what the recipe's last job found, if there still is such a recipe."""
        known = self.get(recipe)
        if known is None:
            return
        changes = known.model_copy(update={"last_run": found}).attributes("last_run")
        with suppress(Conflict):
            self._table.update(known.key, changes, "attribute_exists(#id)", {})

    def _unshared(self, recipe: Recipe, groups: Iterable[str]) -> list[TransactWriteItemTypeDef]:
        writes = []
        for group in groups:
            writes.append(self._table.write_delete(_shared(group, recipe)))
            writes.append(self._uncount(f"GROUP#{group}"))
        return writes

    def _put_version(self, recipe: Recipe, choices: bytes) -> TransactWriteItemTypeDef:
        pk, sk = _version_key(recipe, recipe.version)
        return self._table.write_put({"pk": pk, "sk": sk, "choices": choices}, is_new=True)

    def _count(self, pk: str, most: int) -> TransactWriteItemTypeDef:
        condition = "attribute_not_exists(#recipes) OR #recipes < :most"
        return self._table.write_update((pk, _COUNT), {}, condition, {"most": most}, {"recipes": 1})

    def _uncount(self, pk: str) -> TransactWriteItemTypeDef:
        return self._table.write_update((pk, _COUNT), {}, "attribute_exists(#recipes)", {}, {"recipes": -1})


def packed(choices: Choices) -> bytes:
    """Choices as a version keeps them."""
    return gzip.compress(choices.model_dump_json(exclude_defaults=True).encode(), 6)


def _version_key(recipe: Recipe, version: int) -> Key:
    return recipe.key[0], f"VERSION#{version:07d}"


def _owned(recipe: Recipe) -> Key:
    """Where an owner has one recipe of a name."""
    return f"OWNER#{recipe.owner}", f"RECIPE#{recipe.name}#"


def _shared(group: str, recipe: Recipe) -> Key:
    """Where a group may have several of a name, of several owners."""
    return f"GROUP#{group}", f"RECIPE#{recipe.name}#{recipe.id}"


def _pointer(key: Key, recipe: Recipe) -> dict[str, Value | None]:
    return {"pk": key[0], "sk": key[1], "id": recipe.id}
