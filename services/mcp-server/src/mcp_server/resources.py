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

from mcp_server.catalog import Entitlements
from mcp_server.toolsets.generic import described

MIME_TYPE = "application/json"


def listed(entitlements: Entitlements) -> ListResourcesResult:
    """One resource for each data set that the caller may know of."""
    title = entitlements.view.department.spec.display_name
    return ListResourcesResult(
        resources=[
            Resource(
                uri=f"{_folder(entitlements)}{name}",
                name=name,
                title=f"{title}: {name}",
                description=f"Columns, number of rows and freshness of the data set {name}.",
                mime_type=MIME_TYPE,
                annotations=_changed(state.table.loaded_at) if state.table is not None else None,
            )
            for name, state in entitlements.states.items()
        ]
    )


def templates(entitlements: Entitlements) -> ListResourceTemplatesResult:
    """The pattern of the resources' addresses."""
    return ListResourceTemplatesResult(
        resource_templates=[
            ResourceTemplate(
                uri_template=f"{_folder(entitlements)}{{dataset}}",
                name="dataset",
                title=f"{entitlements.view.department.spec.display_name}: a data set",
                description="Columns, number of rows and freshness of a data set.",
                mime_type=MIME_TYPE,
            )
        ]
    )


def read(entitlements: Entitlements, uri: str) -> ReadResourceResult | None:
    """The description of one data set, or None where there is none for this caller."""
    name = uri.removeprefix(_folder(entitlements))
    state = entitlements.states.get(name)
    if state is None or uri == name:
        return None
    text = orjson.dumps(described(entitlements.view, state)).decode()
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=MIME_TYPE, text=text)])


def _folder(entitlements: Entitlements) -> str:
    return f"department://{entitlements.view.department.name}/datasets/"


def _changed(seconds: float) -> Annotations:
    return Annotations(last_modified=datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds"))
