"""IAM roles, as their own ARN names them and as the ARN of a session does."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_NAME = r"(?P<name>[\w+=,.@-]{1,64})"
_ROLE = re.compile(rf"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{{12}}):role/(?:[!-~]+/)?{_NAME}", re.ASCII)
_SESSION = re.compile(
    rf"arn:(?P<partition>aws[a-z-]*):sts::(?P<account>[0-9]{{12}}):assumed-role/{_NAME}/[\w+=,.@:-]+", re.ASCII
)


class _Role(NamedTuple):
    # A session's ARN lacks the role's path; within an account a role's name is unique without it.
    partition: str
    account: str
    name: str


class RoleGroups:
    """Which groups the sessions of a role have."""

    def __init__(self, groups: Mapping[str, frozenset[str]]) -> None:
        """`groups` maps ARNs of roles.

        Raises:
            ValueError: A key is not the ARN of a role, or names the same role as another one.
        """
        self._roles: dict[_Role, tuple[str, frozenset[str]]] = {}
        for arn, names in groups.items():
            if (match := _ROLE.fullmatch(arn)) is None:
                raise ValueError(f"'{arn}' is not the ARN of an IAM role")
            if self._roles.setdefault(_Role(*match.groups()), (arn, names)) != (arn, names):
                raise ValueError(f"'{arn}' names a role that is there with another path")

    def of_session(self, arn: str) -> tuple[str, frozenset[str]] | None:
        """The role's own ARN and its groups; None for what is not a session, or a session of an unknown role."""
        match = _SESSION.fullmatch(arn)
        return None if match is None else self._roles.get(_Role(*match.groups()))
