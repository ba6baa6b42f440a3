"""What others added to an object: server-side apply changes what it says and leaves all else, such as a container.

Who owns a field is in `managedFields`: https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
"""

from collections.abc import Mapping
from typing import Any

from department_operator.names import FIELD_MANAGER

Object = dict[str, Any]


def has_foreign_fields(document: Mapping[str, Any]) -> bool:
    """Whether somebody else says something of what the operator alone should say."""
    return any(
        _is_foreign(document["kind"], entry.get("fieldsV1", {}))
        for entry in document["metadata"].get("managedFields", [])
        if entry["manager"] != FIELD_MANAGER and not entry.get("subresource")
    )


def without_foreign_fields(document: Mapping[str, Any], desired: Mapping[str, Any]) -> Object:
    """The object as desired and no more; labels and annotations of others stay, as does a Deployment's `replicas`."""
    metadata = {key: value for key, value in document["metadata"].items() if key != "managedFields"}
    whole: Object = {**desired, "metadata": metadata}
    if document["kind"] == "Deployment":
        template = desired["spec"]["template"]
        annotated = template["metadata"] | _annotations(document["spec"]["template"]["metadata"])
        whole["spec"] = desired["spec"] | {
            "replicas": document["spec"]["replicas"],
            "template": template | {"metadata": annotated},
        }
    return whole


def _is_foreign(kind: str, fields: Mapping[str, Any]) -> bool:
    said = {name: below for name, below in fields.items() if name not in {"f:metadata", "f:status"}}
    if kind == "Deployment":
        spec = {name: below for name, below in said.pop("f:spec", {}).items() if name != "f:replicas"}
        # `kubectl rollout restart` annotates the pods.
        template = {name: below for name, below in spec.pop("f:template", {}).items() if name != "f:metadata"}
        return bool(said or spec or template)
    return bool(said)


def _annotations(metadata: Mapping[str, Any]) -> Object:
    return {"annotations": metadata["annotations"]} if "annotations" in metadata else {}
