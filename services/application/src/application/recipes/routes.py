"""Recipes: listed, shown, saved, shared, deleted. A name may be an identifier, too."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import JSONResponse, Response

from application.http.authentication import CallerDep
from application.http.dependencies import JobsDep, RecipesDep, TurnsDep
from application.http.openapi import answers
from application.http.representations import recipe_document, recipe_summary
from application.http.schemas import RecipeDocument, RecipeList
from application.jobs.service import JobService
from application.recipes.records import Found, SavedRecipe, Sharing
from application.recipes.service import RecipeService, Shown
from common.caller import Caller

router = APIRouter(prefix="/api/recipes")


@router.get("", responses=answers(200, RecipeList, "The recipes."))
async def show_all(caller: CallerDep, turns: TurnsDep, recipes: RecipesDep) -> dict[str, Any]:
    """The caller's own recipes, then those that are shared with their groups."""
    return {"recipes": [recipe_summary(recipe, caller) for recipe in await turns.call(recipes.all, caller)]}


@router.get("/{recipe}", responses=answers(200, RecipeDocument, "The recipe."))
async def show(
    recipe: str,
    caller: CallerDep,
    turns: TurnsDep,
    recipes: RecipesDep,
    version: Annotated[int | None, Query(ge=1, le=1_000_000)] = None,
) -> Response:
    """A version of a recipe, the newest by default, without what the caller may not use."""
    return _answered(await turns.call(recipes.show, recipe, version, caller), caller)


@router.put(
    "/{recipe}",
    responses={
        **answers(200, RecipeDocument, "The recipe, with its new version."),
        **answers(201, RecipeDocument, "The new recipe."),
    },
)
async def save(
    recipe: str,
    wanted: SavedRecipe,
    caller: CallerDep,
    turns: TurnsDep,
    recipes: RecipesDep,
    jobs: JobsDep,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Keep choices under a name, as a new version if there is such a recipe: a job's, a version's, or given ones."""
    saved = await turns.call(_saved, recipe, wanted, caller, recipes, jobs, if_match)
    return _answered(saved, caller, 201 if saved.version == 1 else 200)


def _saved(
    name: str, wanted: SavedRecipe, caller: Caller, recipes: RecipeService, jobs: JobService, if_match: str | None
) -> Shown:
    found: Found | None = None
    source = wanted.choices or wanted.from_version
    if wanted.from_job is not None:
        source, found = jobs.choices(wanted.from_job, caller)
    assert source is not None  # noqa: S101 - one of the three is given
    return recipes.save(name, source, caller, found=found, if_match=if_match)


@router.put("/{recipe}/groups", responses=answers(200, RecipeDocument, "The recipe."))
async def share(recipe: str, wanted: Sharing, caller: CallerDep, turns: TurnsDep, recipes: RecipesDep) -> Response:
    """Share a recipe with these groups of the caller's, and no others: their members may read and use it."""
    return _answered(await turns.call(recipes.share, recipe, wanted.groups, caller), caller)


@router.delete("/{recipe}", status_code=204)
async def delete(
    recipe: str,
    caller: CallerDep,
    turns: TurnsDep,
    recipes: RecipesDep,
    if_match: Annotated[str | None, Header()] = None,
) -> None:
    """Delete a recipe with all its versions; jobs that used it stay."""
    await turns.call(recipes.delete, recipe, caller, if_match)


def _answered(shown: Shown, caller: Caller, status: int = 200) -> Response:
    headers = {"etag": shown.recipe.etag, "cache-control": "private, no-store"}
    return JSONResponse(recipe_document(shown, caller), status, headers)
