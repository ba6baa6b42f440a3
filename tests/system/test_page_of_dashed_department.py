"""The page's components and a department whose name has a dash, which its tools' names do not have."""

import ast

import pytest
from tests.frontend.test_components import printed
from tests.helpers.stack import Stack

from local import names

pytestmark = pytest.mark.slow

PROGRAM = """
import asyncio, sys
from frontend import identity
from frontend.components.file_processing.department_lookup import DepartmentLookup
from frontend.components.file_processing.department_tools import DepartmentTools
async def main():
    identity.begin(identity.Person("alice", "alice", sys.argv[1], float("inf")))
    rows = await DepartmentLookup().set(dataset="treasury-desk.accounts", keys="T-0006, T-9999").rows()
    print([(row["key"], row["found"], row["label"]) for row in rows.to_dict(orient="records")])
    print([tool.name for tool in await DepartmentTools().set(department="treasury-desk").build_tools()])
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def said(stack: Stack) -> list[str]:
    """What the components answer alice."""
    environment = {
        "GATEWAY_URL": stack.gateway,
        "PUBLIC_APP_URL": stack.app,
        "COGNITO_ISSUER": names.COGNITO_ISSUER,
        "COGNITO_CLIENT_IDS": f'["{names.PUBLIC_CLIENT}"]',
        "AWS_REGION": names.REGION,
        "SECRET_KEY": "0" * 43,
    }
    return printed(PROGRAM, stack.tokens["alice"], environment)[-2:]


def test_a_lookup_in_a_department_with_a_dash_finds_its_rows(said: list[str]) -> None:
    found, missing = ast.literal_eval(said[0].replace("nan", "None"))
    assert found[:2] == ("T-0006", True)
    assert found[2] == "plain"
    assert missing[:2] == ("T-9999", False)


def test_the_tools_of_a_department_with_a_dash_are_there_for_an_agent(said: list[str]) -> None:
    tools = ast.literal_eval(said[1])
    assert "treasury_desk_lookup_accounts" in tools
    assert all(tool.startswith("treasury_desk_") for tool in tools)
