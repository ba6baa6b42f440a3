"""What happens to recipes: kept, found, shared, deleted, used. All calls block; they are for threads."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import structlog
from pydantic import ValidationError

from application.departments.access import Access
from application.errors import CannotRepair, Conflict
from application.http.conditions import require_match
from application.jobs.repairs import Repair, Repairs, by_hand
from application.jobs.requests import Choices, JobRequest
from application.recipes import problems
from application.recipes.records import Found, Recipe, Version, is_name
from application.recipes.rights import Part, check, part_for
from application.recipes.store import MOST_BYTES, MOST_OF_GROUP, MOST_OF_OWNER, MOST_VERSIONS, RecipeStore, packed
from application.records import UsedRecipe, is_id, iso, new_id
from common.caller import Caller
from common.file_options import FileOptions
from common.problem import invalid_request

log = structlog.get_logger()

Request = TypeVar("Request", bound=JobRequest)

_TRIES = 5
_LOOKED_UP = ("departments", "mapping", "columns")


class Shown(NamedTuple):
    """A version of a recipe, with the part of its choices that its reader may use."""

    recipe: Recipe
    version: int
    part: Part


@dataclass(frozen=True, slots=True)
class Applied(Generic[Request]):
    """A request with the choices of its recipe; without a recipe, as it came.

    Attributes:
        request: What is to be done; its ``keys`` are those of the caller alone.
        pairs: The recipe's approved keys.
        recipe: What is used.
        last_run: What the recipe's last job found.
        is_mapped: Whether the mapping is the recipe's.
        notes: What is left out, in words.
    """

    request: Request
    pairs: Repairs
    recipe: UsedRecipe | None = None
    last_run: Found | None = None
    is_mapped: bool = False
    notes: tuple[str, ...] = ()


class RecipeService:
    """Keeps the recipes of each owner. Members of the groups that it is shared with read and use a recipe."""

    def __init__(self, store: RecipeStore, access: Access) -> None:
        """Whatever is read or used is what ``access`` gives the caller now."""
        self._store = store
        self._access = access

    def all(self, caller: Caller) -> list[Recipe]:
        """The caller's own recipes, then those that are shared with their groups."""
        own = self._store.of_owner(caller.subject)
        return own + [each for each in self._store.shared(sorted(caller.groups)) if each.owner != caller.subject]

    def show(self, name: str, version: int | None, caller: Caller) -> Shown:
        """A version of a recipe, the newest by default; raises a ``Problem``."""
        recipe = self._find(name, caller)
        number = recipe.version if version is None else version
        return Shown(recipe, number, part_for(self._choices(recipe, number), caller, self._access))

    def save(
        self,
        name: str,
        source: Choices | int,
        caller: Caller,
        *,
        found: Found | None = None,
        if_match: str | None = None,
    ) -> Shown:
        """Keep the newest version of the caller's recipe of this name (or id), or a new recipe.

        Args:
            name: Its name; that of a new recipe is not taken.
            source: What to keep, or the number of the version to restore.
            caller: The owner.
            found: What a job with these choices found.
            if_match: The condition that the request is under.

        Raises:
            Problem, InputError, CannotRepair: It cannot be kept.
        """
        if isinstance(source, Choices):
            check(source, caller, self._access)
            source = source.model_copy(update={"keys": _plain(by_hand(source.keys, {}))})
        for _ in range(_TRIES):
            known = self._owned(name, caller)
            if known is not None:
                require_match(if_match, known.etag)
                choices = self._choices(known, source) if isinstance(source, int) else source
            elif if_match is not None or isinstance(source, int):
                raise problems.no_recipe(name)
            else:
                choices = source
            if len(content := packed(choices)) > MOST_BYTES:
                raise CannotRepair("The approved keys are too many or too long to be kept in a recipe.")
            try:
                recipe = self._add(known, content, found) if known else self._create(name, content, caller, found)
            except Conflict:
                continue
            log.info("recipe.saved", recipe=recipe.id, version=recipe.version)
            return Shown(recipe, recipe.version, part_for(choices, caller, self._access))
        raise problems.changed_meanwhile()

    def share(self, name: str, groups: list[str], caller: Caller) -> Shown:
        """Share the caller's recipe with these groups of theirs, and no others; raises a ``Problem``."""
        wanted = tuple(sorted(set(groups)))
        for _ in range(_TRIES):
            recipe = self._own(name, caller)
            if foreign := sorted(set(wanted) - caller.groups - set(recipe.groups)):
                raise problems.not_your_group(foreign[0])
            try:
                self._store.share(recipe, wanted)
            except Conflict:
                continue
            log.info("recipe.shared", recipe=recipe.id, groups=len(wanted))
            return self.show(recipe.id, None, caller)
        raise problems.group_full(wanted, MOST_OF_GROUP)

    def delete(self, name: str, caller: Caller, if_match: str | None) -> None:
        """Delete the caller's recipe with all its versions; raises a ``Problem``."""
        for _ in range(_TRIES):
            recipe = self._own(name, caller)
            require_match(if_match, recipe.etag)
            try:
                self._store.delete(recipe)
            except Conflict:
                continue
            log.info("recipe.deleted", recipe=recipe.id)
            return
        raise problems.changed_meanwhile()

    def applied(self, wanted: Request, caller: Caller) -> Applied[Request]:
        """A request with the choices of its recipe where it has none of its own; raises a ``Problem``.

        A request that names departments or a mapping takes none of the recipe's departments, mapping and columns.
        """
        if wanted.recipe is None:
            return Applied(wanted, {})
        recipe, version, part = self.show(wanted.recipe, wanted.recipe_version, caller)
        taken = set() if wanted.approve else {"approve"}
        if not wanted.departments and not wanted.mapping:
            taken |= {member for member in _LOOKED_UP if not getattr(wanted, member)}
        if part.emptied & (taken if wanted.options.add_only else taken | {"options"}):
            raise problems.not_permitted(recipe.name)
        chosen = {member: getattr(part.choices, member) for member in taken}
        chosen["options"] = _merged(part.choices.options, wanted.options)
        left_out = f"The recipe {recipe.name!r} names data that you may not use, too. That part was left out."
        return Applied(
            wanted.model_copy(update=chosen),
            {
                dataset: {cell: Repair(key=key, reason=f"From the recipe {recipe.name}") for cell, key in pairs.items()}
                for dataset, pairs in part.choices.keys.items()
            },
            UsedRecipe(id=recipe.id, name=recipe.name, version=version),
            recipe.last_run,
            is_mapped=bool(chosen.get("mapping")),
            notes=() if part.is_whole else (left_out,),
        )

    def _find(self, name: str, caller: Caller) -> Recipe:
        """The recipe that the caller means: their own of that name, else the one that is shared with them."""
        if is_id(name):
            recipe = self._store.get(name)
            if recipe is None or (recipe.owner != caller.subject and caller.groups.isdisjoint(recipe.groups)):
                raise problems.no_recipe(name)
            return recipe
        if not is_name(name):
            raise problems.no_recipe(name)
        found = self._store.of_owner(caller.subject, name) or self._store.shared(sorted(caller.groups), name)
        if not found:
            raise problems.no_recipe(name)
        if len(found) > 1:
            raise problems.several(name, found)
        return found[0]

    def _own(self, name: str, caller: Caller) -> Recipe:
        recipe = self._find(name, caller)
        if recipe.owner != caller.subject:
            raise problems.not_yours(recipe)
        return recipe

    def _owned(self, name: str, caller: Caller) -> Recipe | None:
        """The recipe that is to get a new version; None where it is a new one."""
        if is_id(name):
            return self._own(name, caller)
        if not is_name(name):
            raise problems.invalid_name(name)
        return next(iter(self._store.of_owner(caller.subject, name)), None)

    def _choices(self, recipe: Recipe, version: int) -> Choices:
        found = self._store.choices(recipe, version)
        if found is None:
            raise problems.no_version(recipe, version, MOST_VERSIONS)
        return found

    def _create(self, name: str, content: bytes, caller: Caller, found: Found | None) -> Recipe:
        recipe = Recipe(
            id=new_id(),
            owner=caller.subject,
            owner_name=caller.username,
            name=name,
            version=1,
            versions=(Version(version=1, saved_at=iso(time.time())),),
            last_run=found,
        )
        try:
            self._store.create(recipe, content)
        except Conflict:
            if self._store.has_most(caller.subject):
                raise problems.too_many(MOST_OF_OWNER) from None
            raise
        return recipe

    def _add(self, known: Recipe, content: bytes, found: Found | None) -> Recipe:
        number = known.version + 1
        versions = (*known.versions, Version(version=number, saved_at=iso(time.time())))[-MOST_VERSIONS:]
        changes = {"version": number, "versions": versions, "last_run": found or known.last_run}
        recipe = known.model_copy(update=changes)
        self._store.add_version(recipe, content)
        return recipe


def _plain(repairs: Repairs) -> dict[str, dict[str, str]]:
    return {dataset: {cell: repair.key for cell, repair in pairs.items()} for dataset, pairs in repairs.items()}


def _merged(kept: FileOptions, wanted: FileOptions) -> FileOptions:
    """The options of a recipe, and over them those of a request; raises a ``Problem``."""
    chosen = {name: getattr(kept, name) for name in kept.given}
    if wanted.no_header:
        chosen.pop("header_row", None)
    if wanted.header_row is not None:
        chosen.pop("no_header", None)
    chosen |= {name: getattr(wanted, name) for name in wanted.model_fields_set}
    try:
        return FileOptions.model_validate(chosen)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error
