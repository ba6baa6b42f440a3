"""What can be wrong with a recipe, as problems."""

from __future__ import annotations

from collections.abc import Sequence

from application.recipes.records import Recipe
from common.problem import Problem

NAME = "1 to 64 of a-z, 0-9 and -, such as month-end"


def no_recipe(name: str) -> Problem:
    """A recipe that does not exist, or is another's."""
    return Problem(404, "recipe-not-found", "There is no such recipe", f"There is no recipe {name!r} that you may use.")


def no_version(recipe: Recipe, version: int, most: int) -> Problem:
    """A version that was never saved, or is too old."""
    detail = f"The recipe {recipe.name!r} has no version {version}. The newest {most} versions are kept."
    return Problem(404, "version-not-found", "There is no such version", detail)


def several(name: str, found: Sequence[Recipe]) -> Problem:
    """A name that several people use for the recipes that they share."""
    ids = ", ".join(f"{recipe.id} (owner: {recipe.owner_name})" for recipe in found)
    detail = f"{len(found)} people share a recipe {name!r} with you. Give its id in place of its name: {ids}."
    return Problem(409, "several-recipes", "Several recipes have this name", detail)


def invalid_name(name: str) -> Problem:
    """A name that no recipe can have."""
    detail = f"A recipe cannot be called {name!r}. A name has {NAME}."
    return Problem(422, "invalid-name", "The name of the recipe cannot be used", detail, expected=NAME)


def not_yours(recipe: Recipe) -> Problem:
    """A change of another's recipe."""
    detail = f"Only the owner, {recipe.owner_name}, can change or delete the recipe {recipe.name!r}."
    return Problem(403, "recipe-not-yours", "The recipe is not yours", detail)


def not_your_group(group: str) -> Problem:
    """A group that the owner of a recipe is not in."""
    detail = f"You are not in the group {group!r}. Share a recipe with your own groups."
    return Problem(422, "not-your-group", "You are not in this group", detail, field="groups")


def too_many(most: int) -> Problem:
    """One more recipe than an owner may have."""
    detail = f"You have {most} recipes, which is the maximum. Delete one."
    return Problem(409, "too-many-recipes", "Too many recipes", detail)


def group_full(groups: Sequence[str], most: int) -> Problem:
    """One more recipe than a group may have."""
    detail = f"One of the groups {', '.join(groups)} has {most} recipes, which is the maximum. Share fewer recipes."
    return Problem(409, "too-many-recipes", "Too many recipes", detail)


def changed_meanwhile() -> Problem:
    """A change that others were quicker than, again and again."""
    return Problem(409, "conflict", "Something else changed this", "The recipe changed meanwhile. Try again.")


def not_permitted(name: str) -> Problem:
    """A recipe of which the caller may use nothing."""
    detail = f"You may use none of the data that the recipe {name!r} is for. Ask the owner of the data for access."
    return Problem(403, "recipe-not-permitted", "You may not use this recipe", detail)


def does_not_fit(detail: str, *, column: str | None = None) -> Problem:
    """A file that is not as the recipe expects it."""
    title = "The recipe does not fit this file"
    expected = "a file as before, other choices in the request, or anyway: true"
    return Problem(422, "recipe-does-not-fit", title, detail, field="recipe", column=column, expected=expected)
