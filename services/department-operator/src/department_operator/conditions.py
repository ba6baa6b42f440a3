"""A department's status: what people, Argo CD and the other services read of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from department_operator.observed import DepartmentState, ServerStatus


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of the conditions, without its times."""

    type: str
    status: str
    reason: str
    message: str


def conditions(state: DepartmentState, revision: str | None) -> list[Condition]:
    """The four conditions; `revision` is that of the PodTemplate as it is now, None while there is none."""
    data = _data(state)
    return [_accepted(state), data, _up_to_date(state, revision), _ready(state, revision, data)]


def _accepted(state: DepartmentState) -> Condition:
    if state.invalid is not None:
        return Condition("Accepted", "False", "Invalid", f"Running pods are unchanged: {state.invalid}")
    return Condition("Accepted", "True", "Accepted", "The specification can be served.")


def _data(state: DepartmentState) -> Condition:
    available = state.deployment is not None and state.deployment.available > 0
    server = state.server
    missing = [] if server is None else [f"{name}: {error}" for name, error in server.datasets if error is not None]
    if available:
        return Condition("DataAvailable", "True", "Loaded", "Every data set has a version that is served.")
    if missing:
        return Condition("DataAvailable", "False", "DataMissing", "; ".join(missing))
    if server is not None and server.ready:
        return Condition("DataAvailable", "True", "Loaded", "Every data set has a version that is served.")
    return Condition("DataAvailable", "Unknown", "NotAskedYet", "No server has answered yet.")


def _up_to_date(state: DepartmentState, revision: str | None) -> Condition:
    deployment = state.deployment
    if state.failures:
        return Condition("UpToDate", "False", "NotMade", "; ".join(state.failures.values()))
    if deployment is None or revision is None:
        return Condition("UpToDate", "Unknown", "NotMadeYet", "There is no Deployment yet.")
    if deployment.revision != revision:
        return Condition(
            "UpToDate", "False", "WaitingForRollout", "A changed PodTemplate goes from department to department."
        )
    if deployment.stuck:
        return Condition(
            "UpToDate",
            "False",
            "RolloutStopped",
            f"The new pods do not become ready{_because(state)}. No other department is given this PodTemplate.",
        )
    if not deployment.updated:
        return Condition("UpToDate", "False", "RollingOut", f"New pods are not ready yet{_because(state)}.")
    return Condition("UpToDate", "True", "UpToDate", "Built from the PodTemplate as it is now.")


def _ready(state: DepartmentState, revision: str | None, data: Condition) -> Condition:
    available = state.deployment is not None and state.deployment.available > 0
    # Pods that serve are of no use without these; all else that is missing leaves them as they were.
    unreached = [why for kind, why in state.failures.items() if kind in {"Service", "NetworkPolicy"}]
    if available and not unreached:
        return Condition("Ready", "True", "Serving", "The department's server answers.")
    if state.failures:
        why = unreached if available else state.failures.values()
        return Condition("Ready", "False", "NotMade", "; ".join(why))
    if revision is None and state.deployment is None:
        return Condition("Ready", "False", "NotMade", "There is no PodTemplate mcp-server in this namespace yet.")
    if data.reason == "DataMissing":
        return Condition("Ready", "False", "DataMissing", data.message)
    return Condition("Ready", "False", "NotAvailable", f"No server is ready yet{_because(state)}.")


def _because(state: DepartmentState) -> str:
    problems = [pod.problem for pod in state.pods.values() if pod.problem is not None]
    if state.deployment is not None and state.deployment.refusal is not None:
        problems.append(state.deployment.refusal)
    if state.server is not None and state.server.problem is not None:
        problems.append(state.server.problem)
    return f" ({problems[0].rstrip('.')})" if problems else ""


def status(
    found: Iterable[Condition], known: Mapping[str, Any], generation: int, endpoint: str, server: ServerStatus | None
) -> dict[str, Any]:
    """The whole status.

    Args:
        known: The status as it was, of which the times of what stays and the last known tools are kept.
        server: What a server said last, if any did since the operator started.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    since = {(line["type"], line["status"]): line["lastTransitionTime"] for line in known.get("conditions", [])}
    made: dict[str, Any] = {
        "observedGeneration": generation,
        "endpoint": endpoint,
        "conditions": [
            {
                "type": line.type,
                "status": line.status,
                "observedGeneration": generation,
                "lastTransitionTime": since.get((line.type, line.status), now),
                "reason": line.reason,
                "message": line.message,
            }
            for line in found
        ],
    }
    if server is None:
        return made | {key: known[key] for key in ("tools", "toolCount", "datasets") if key in known}
    datasets = [
        {"name": name, "available": error is None} | ({} if error is None else {"message": error})
        for name, error in server.datasets
    ]
    return made | {"tools": list(server.tools), "toolCount": len(server.tools), "datasets": datasets}
