"""Both eras of the protocol on one endpoint, with the official client."""

from typing import Any, Literal

import pytest


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_keys_are_looked_up_in_their_order_in_both_eras(finance: Any, mode: Literal["auto", "legacy"]) -> None:
    async with finance.client("finance", mode=mode) as client:
        result = await client.call_tool("finance_lookup_vendors", {"keys": ["V-00002", "V-9", " V-00001 "]})
    assert not result.is_error
    content = result.structured_content
    assert [(row["key"], row["matched"]) for row in content["rows"]] == [
        ("V-00002", True),
        ("V-9", False),
        (" V-00001 ", True),
    ]
