"""A changed PodTemplate goes from department to department, and stops at the first that does not become ready."""

from collections.abc import Mapping
from dataclasses import dataclass

from department_operator.observed import DeploymentState


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a roll-out is.

    Attributes:
        outdated: Departments that still have an older template.
        next: Those of them that may be given the current one now.
        proving: Those that were given it while they served, and do not serve from it yet; all wait for them.
    """

    outdated: frozenset[str]
    next: frozenset[str]
    proving: frozenset[str]


def turn(deployments: Mapping[str, DeploymentState], revision: str) -> Turn:
    """Whose turn it is to be given `revision`.

    One that serves goes first and alone: it shows whether the template is good, while its older pods go on serving.
    Those that serve nobody, for want of data, prove nothing and harm nobody; they come last, together. All is read
    from the Deployments, so nothing is forgotten by a restart.
    """
    outdated = frozenset(name for name, state in deployments.items() if state.revision != revision)
    proving = frozenset(
        name
        for name, state in deployments.items()
        if state.revision == revision and state.proves == revision and not (state.updated and state.available > 0)
    )
    if proving or not outdated:
        return Turn(outdated, frozenset(), proving)
    serving = sorted(name for name in outdated if deployments[name].available > 0)
    return Turn(outdated, frozenset(serving[:1]) or outdated, proving)
