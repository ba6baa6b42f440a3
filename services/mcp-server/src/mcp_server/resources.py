"""Each data set's schema and freshness as a resource: `department://finance/datasets/vendors`."""

from datetime import UTC, datetime

import orjson
from mcp_types import (
    Annotations,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from mcp_server.catalog import Offer
from mcp_server.toolsets.generic import described

MIME_TYPE = "application/json"


def listed(offer: Offer) -> ListResourcesResult:
    """One resource for each data set that the caller may know of."""
    title = offer.view.department.spec.display_name
    return ListResourcesResult(
        resources=[
            Resource(
                uri=f"{_folder(offer)}{name}",
                name=name,
                title=f"{title}: {name}",
                description=f"Columns, number of rows and freshness of the data set {name}.",
                mime_type=MIME_TYPE,
                annotations=_changed(state.table.loaded_at) if state.table is not None else None,
            )
            for name, state in offer.states.items()
        ]
    )


def templates(offer: Offer) -> ListResourceTemplatesResult:
    """The pattern of the resources' addresses."""
    return ListResourceTemplatesResult(
        resource_templates=[
            ResourceTemplate(
                uri_template=f"{_folder(offer)}{{dataset}}",
                name="dataset",
                title=f"{offer.view.department.spec.display_name}: a data set",
                description="Columns, number of rows and freshness of a data set.",
                mime_type=MIME_TYPE,
            )
        ]
    )


def read(offer: Offer, uri: str) -> ReadResourceResult | None:
    """The description of one data set, or None where there is none for this caller."""
    name = uri.removeprefix(_folder(offer))
    state = offer.states.get(name)
    if state is None or uri == name:
        return None
    text = orjson.dumps(described(offer.view, state)).decode()
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)])


def _folder(offer: Offer) -> str:
    return f"department://{offer.view.department.name}/datasets/"


def _changed(seconds: float) -> Annotations:
    return Annotations(last_modified=datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds"))
