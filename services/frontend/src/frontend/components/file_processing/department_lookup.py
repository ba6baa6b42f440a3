"""Department Lookup: keys in, a department's rows out."""

import re

from lfx.custom import Component
from lfx.io import MessageTextInput, MultilineInput, Output
from lfx.schema import DataFrame
from lfx.schema.message import Message

from frontend import tools
from frontend.enrichment import Refusal, table

MOST_KEYS = 5000


class DepartmentLookup(Component):
    """What a department knows of some keys."""

    display_name = "Department Lookup"
    description = "Looks up vendor, employee or contract numbers in a data set of a department."
    icon = "Search"
    name = "DepartmentLookup"

    inputs = [  # noqa: RUF012 - as Langflow declares components
        MessageTextInput(
            name="dataset",
            display_name="Data Set",
            info="Department and data set, such as finance.vendors. The component Departments lists yours.",
            value="finance.vendors",
        ),
        MultilineInput(
            name="keys",
            display_name="Keys",
            info="Such as V-00017, V-00042: separated by commas, spaces or lines.",
            tool_mode=True,
        ),
        MessageTextInput(
            name="columns",
            display_name="Columns",
            info="Only these, separated by commas. Empty: all that you may see.",
            advanced=True,
        ),
    ]
    outputs = [  # noqa: RUF012
        Output(name="rows", display_name="Rows", method="rows"),
        Output(name="text", display_name="Text", method="text"),
    ]

    async def rows(self) -> DataFrame:
        """A row for each key, in their order."""
        keys = words(self.keys)
        if not keys:
            raise Refusal("Write at least one key, such as V-00017.")
        if len(keys) > MOST_KEYS:
            raise Refusal(
                f"{len(keys):,} keys are too many for a lookup; {MOST_KEYS:,} go at once. Enrich a file instead."
            )
        if not re.fullmatch(r"[a-z][a-z0-9-]*\.[a-z][a-z0-9_]*", str(self.dataset).strip()):
            raise Refusal("Write the data set as department and name with a dot between, such as finance.vendors.")
        return DataFrame(await tools.look_up(str(self.dataset).strip(), keys, words(self.columns)))

    async def text(self) -> Message:
        """The same as a table for the chat, or a sentence that says what is wrong."""
        try:
            rows = (await self.rows()).to_dict(orient="records")
        except Refusal as refusal:
            return Message(text=str(refusal))
        head = list(dict.fromkeys(name for row in rows for name in row))
        lines = table(head, [["" if row.get(name) is None else str(row[name]) for name in head] for row in rows])
        return Message(text="\n".join(lines))


def words(text: object) -> list[str]:
    """What is separated by commas, semicolons, spaces or lines, each once."""
    return list(dict.fromkeys(word for word in re.split(r"[\s,;]+", str(text or "")) if word))
