"""The flow "Enrich a file": made of the components by code, and put among each user's own."""

import copy
import json
from functools import cache
from typing import Any, Final
from uuid import UUID, uuid4

from langflow.initial_setup.constants import STARTER_FOLDER_NAME
from langflow.initial_setup.setup import get_or_create_default_folder
from langflow.services.database.models.flow.model import Flow
from langflow.services.database.models.folder.model import Folder
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.graph import Graph
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from frontend.components.file_processing.file_enrichment import FileEnrichment

NAME: Final = "Enrich a file"
DESCRIPTION: Final = "Attach a file with vendor, employee or contract numbers; it comes back enriched."
PLACES: Final = {"ChatInput": (0, 120), "FileEnrichment": (420, 0), "ChatOutput": (860, 120)}
"""Where each component is on the canvas, in pixels."""


@cache
def enrich_a_file() -> str:
    """The flow's graph as the editor keeps it, in JSON."""
    question = ChatInput(_id="ChatInput-question").set(sender_name="You")
    enrichment = FileEnrichment(_id="FileEnrichment-file").set(message=question.message_response)
    answer = ChatOutput(_id="ChatOutput-answer").set(input_value=enrichment.answer, sender_name="File Processing")
    graph = Graph(question, answer, flow_name=NAME, description=DESCRIPTION)
    data = copy.deepcopy(graph.dump()["data"])
    for node in data["nodes"]:
        x, y = PLACES[node["data"]["type"]]
        node |= {"type": "genericNode", "position": {"x": x, "y": y}}
    for edge in data["edges"]:
        _name_handles(edge)
    return json.dumps({**data, "viewport": {"x": 80, "y": 160, "zoom": 0.9}}, default=str)


def _name_handles(edge: dict[str, Any]) -> None:
    """The editor knows the ends of an edge by JSON whose quotes are œ."""
    for end in ("source", "target"):
        edge[f"{end}Handle"] = json.dumps(edge["data"][f"{end}Handle"], separators=(",", ":")).replace('"', "œ")
    edge["id"] = f"xy-edge__{edge['source']}{edge['sourceHandle']}-{edge['target']}{edge['targetHandle']}"


def with_present_code(data: dict[str, Any] | None) -> dict[str, Any] | None:
    """The graph with its components' code of this version, and all else as the user left it; None if it has it.

    What runs is this version's code anyway. While a stored graph has another's, Langflow warns at each run.
    """
    present = {node["id"]: node["data"] for node in json.loads(enrich_a_file())["nodes"]}
    renewed = copy.deepcopy(data or {})
    for node in renewed.get("nodes", ()):
        ours = present.get(node.get("id"))
        if ours and ours["type"] == node["data"].get("type"):
            node["data"]["node"]["template"]["code"]["value"] = ours["node"]["template"]["code"]["value"]
    return renewed if renewed != data else None


async def ensure(session: AsyncSession, user_id: UUID) -> UUID:
    """The user's own copy of the flow, with the components as they are now; made where there is none any more."""
    wanted = select(Flow).where(Flow.user_id == user_id, Flow.name == NAME)
    found = (await session.exec(wanted)).first()
    if found is not None:
        if (renewed := with_present_code(found.data)) is not None:
            found.data = renewed
            session.add(found)
            await session.flush()
        return found.id
    await _ensure_starter_folder(session)
    folder = await get_or_create_default_folder(session, user_id)
    flow = Flow(
        id=uuid4(),
        name=NAME,
        description=DESCRIPTION,
        icon="FileSpreadsheet",
        data=json.loads(enrich_a_file()),
        user_id=user_id,
        folder_id=folder.id,
    )
    session.add(flow)
    await session.flush()
    return flow.id


async def _ensure_starter_folder(session: AsyncSession) -> None:
    """Nobody's folder, and empty: without it Langflow lists no flow to a user who renamed their own folder."""
    wanted = select(Folder.id).where(Folder.name == STARTER_FOLDER_NAME)
    if (await session.exec(wanted)).first() is None:
        session.add(Folder(name=STARTER_FOLDER_NAME))
        await session.flush()
