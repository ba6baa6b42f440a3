"""A department's status: what people, Argo CD and the other services read of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from department_operator.observed import Answer, DeploymentState, PodState


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of the conditions, without its times."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the status is made from.

    Attributes:
        invalid: Why the specification cannot be served, or None.
        failures: Why an object could not be made, by its kind.
        revision: Of the PodTemplate as it is now; None while there is none.
    """

    invalid: str | None
    failures: Mapping[str, str]
    revision: str | None
    deployment: DeploymentState | None
    pods: Iterable[PodState]
    answer: Answer | None


def conditions(situation: Situation) -> list[Condition]:
    """The four conditions."""
    data = _data(situation)
    return [_accepted(situation), data, _up_to_date(situation), _ready(situation, data)]


def _accepted(situation: Situation) -> Condition:
    if situation.invalid is not None:
        return Condition("Accepted", "False", "Invalid", f"What runs stays as it was: {situation.invalid}")
    return Condition("Accepted", "True", "Accepted", "The specification can be served.")


def _data(situation: Situation) -> Condition:
    available = situation.deployment is not None and situation.deployment.available > 0
    answer = situation.answer
    missing = [] if answer is None else [f"{name}: {error}" for name, error in answer.datasets if error is not None]
    if available:
        return Condition("DataAvailable", "True", "Loaded", "Every data set has a version that is served.")
    if missing:
        return Condition("DataAvailable", "False", "DataMissing", "; ".join(missing))
    if answer is not None and answer.ready:
        return Condition("DataAvailable", "True", "Loaded", "Every data set has a version that is served.")
    return Condition("DataAvailable", "Unknown", "NotAskedYet", "No server has answered yet.")


def _up_to_date(situation: Situation) -> Condition:
    state = situation.deployment
    if situation.failures:
        return Condition("UpToDate", "False", "NotMade", "; ".join(situation.failures.values()))
    if state is None or situation.revision is None:
        return Condition("UpToDate", "Unknown", "NotMadeYet", "There is no Deployment yet.")
    if state.revision != situation.revision:
        return Condition(
            "UpToDate", "False", "WaitingForRollout", "A changed PodTemplate goes from department to department."
        )
    if state.stuck:
        return Condition(
            "UpToDate",
            "False",
            "RolloutStopped",
            f"The new pods do not become ready{_because(situation)}. No other department is given this PodTemplate.",
        )
    if not state.updated:
        return Condition("UpToDate", "False", "RollingOut", f"New pods are not ready yet{_because(situation)}.")
    return Condition("UpToDate", "True", "UpToDate", "Built from the PodTemplate as it is now.")


def _ready(situation: Situation, data: Condition) -> Condition:
    available = situation.deployment is not None and situation.deployment.available > 0
    # Pods that serve are of no use without these; all else that is missing leaves them as they were.
    unreached = [why for kind, why in situation.failures.items() if kind in {"Service", "NetworkPolicy"}]
    if available and not unreached:
        return Condition("Ready", "True", "Serving", "The department's server answers.")
    if situation.failures:
        why = unreached if available else situation.failures.values()
        return Condition("Ready", "False", "NotMade", "; ".join(why))
    if situation.revision is None and situation.deployment is None:
        return Condition("Ready", "False", "NotMade", "There is no PodTemplate mcp-server in this namespace yet.")
    if data.reason == "DataMissing":
        return Condition("Ready", "False", "DataMissing", data.message)
    return Condition("Ready", "False", "NotAvailable", f"No server is ready yet{_because(situation)}.")


def _because(situation: Situation) -> str:
    problems = [pod.problem for pod in situation.pods if pod.problem is not None]
    if situation.deployment is not None and situation.deployment.refusal is not None:
        problems.append(situation.deployment.refusal)
    if situation.answer is not None and situation.answer.problem is not None:
        problems.append(situation.answer.problem)
    return f" ({problems[0].rstrip('.')})" if problems else ""


def status(
    found: Iterable[Condition], known: Mapping[str, Any], generation: int, endpoint: str, answer: Answer | None
) -> dict[str, Any]:
    """The whole status.

    Args:
        known: The status as it was, of which the times of what stays and the last known tools are kept.
        answer: What a server said last, if any did since the operator started.
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
    if answer is None:
        return made | {key: known[key] for key in ("tools", "toolCount", "datasets") if key in known}
    datasets = [
        {"name": name, "available": error is None} | ({} if error is None else {"message": error})
        for name, error in answer.datasets
    ]
    return made | {"tools": list(answer.tools), "toolCount": len(answer.tools), "datasets": datasets}
