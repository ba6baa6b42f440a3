"""Recipes in the access matrix: each user reads and uses what a colleague shared."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.helpers.canaries import CELL
from tests.helpers.data import DataSet
from tests.helpers.matrix import Probe, World, as_id
from tests.helpers.rest import Answer, Rest
from tests.helpers.stack import USERS

CHANGES: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/api/recipes/{}", None),
    ("PUT", "/api/recipes/{}", {"from_version": 1}),
    ("PUT", "/api/recipes/{}/groups", {"groups": []}),
    ("DELETE", "/api/recipes/{}", None),
)


@dataclass(frozen=True)
class SharedRecipe:
    """A recipe with all that its owner may use, for all groups of the owner."""

    owner: str
    identity: str
    name: str
    data_sets: tuple[DataSet, ...]

    def reads(self, user: str) -> bool:
        """Whether it is shared with `user`."""
        return bool(USERS[user] & USERS[self.owner])

    def choices(self, user: str) -> dict[str, Any]:
        """What `user` may see of it; each pair has a cell that only those may see who may use its data set."""
        seen = [data_set for data_set in self.data_sets if data_set.permits(user)]
        columns = {
            data_set.ref: [column for column in data_set.visible(self.owner) if column in data_set.visible(user)]
            for data_set in seen
        }
        return {
            "mapping": {data_set.key: [data_set.ref] for data_set in seen},
            "columns": columns,
            "keys": {data_set.ref: pair(data_set) for data_set in seen},
            "options": {"add_only": [f"{ref}.{column}" for ref, names in columns.items() for column in names]},
        }


def pair(data_set: DataSet) -> dict[str, str]:
    """A cell of the data set, in place of a key."""
    key, values = next(iter(data_set.rows.items()))
    return {next(str(value) for value in values.values() if CELL.fullmatch(str(value))): key}


async def shared_recipe(world: World, owner: str) -> SharedRecipe:
    """Save it, and share it."""
    own = tuple(data_set for data_set in world.data_sets if data_set.permits(owner))
    recipe = SharedRecipe(owner, "", f"of-{owner}", own)
    path = f"/api/recipes/{recipe.name}"
    saved = await world.rest(owner).good("PUT", path, body={"choices": recipe.choices(owner)})
    await world.rest(owner).good("PUT", f"{path}/groups", body={"groups": sorted(USERS[owner])})
    return SharedRecipe(owner, saved.json["id"], recipe.name, own)


def recipe_questions(world: World, user: str, recipe: SharedRecipe, file: str) -> Iterator[Probe]:
    """`file` is the user's, with keys of every data set."""
    rest, browser, tools = world.rest(user), world.browser(user), world.wire(user, "/mcp", "modern")
    reads, expected = recipe.reads(user), recipe.choices(user)

    def is_theirs(answer: Answer) -> bool:
        shown = answer.json["choices"]
        options = {"add_only": shown["options"]["add_only"]}
        return {name: shown[name] for name in ("mapping", "columns", "keys")} | {"options": options} == expected

    def adds_theirs(answer: Answer) -> bool:
        document = answer.json
        added = set(document["columns"]) - set(world.rows()[0])
        return added == {
            f"{data_set.key}.{data_set.department}.{column}"
            for data_set in recipe.data_sets
            for column in expected["columns"].get(data_set.ref, ())
        }

    yield Probe("REST recipes", user, "", True, lambda _: rest.call("GET", "/api/recipes"), "")
    yield Probe("MCP recipes", user, "", True, lambda _: tools.tool("files_list_recipes"), "")
    for interface, caller in (("REST recipes", rest), ("browser recipes", browser)):

        def show(word: str, caller: Rest = caller) -> Awaitable[Answer]:
            return caller.call("GET", f"/api/recipes/{as_id(word)}")

        yield Probe(interface, user, recipe.identity, reads, show, recipe.identity, is_theirs)

    def show_tool(word: str) -> Awaitable[Answer]:
        return tools.tool("files_show_recipe", name=as_id(word))

    yield Probe("MCP recipes", user, recipe.identity, reads, show_tool, recipe.identity)
    said = f"{recipe.identity} {world.rows()}"

    def preview(word: str) -> Awaitable[Answer]:
        return rest.call("POST", "/api/preview", body={"file": file, "recipe": as_id(word)})

    yield Probe("REST preview by recipe", user, recipe.identity, reads, preview, said, adds_theirs)

    def preview_tool(word: str) -> Awaitable[Answer]:
        return tools.tool("files_preview", file=file, recipe=as_id(word))

    yield Probe("MCP preview by recipe", user, recipe.identity, reads, preview_tool, said)
    if not reads:
        for method, path, body in CHANGES:

            def change(word: str, method: str = method, path: str = path, body: Any = body) -> Awaitable[Answer]:
                return rest.call(method, path.format(as_id(word)), body=body)

            yield Probe("REST others' recipes", user, recipe.identity, False, change, recipe.identity)
