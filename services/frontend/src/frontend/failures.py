"""What people are told of a failure: its sentence. Langflow would add a traceback, with paths of this process."""

from types import SimpleNamespace
from typing import Final

from langflow.api import build
from langflow.api.v1 import chat
from lfx.graph.graph import base as graph
from lfx.graph.vertex import base as vertex
from lfx.schema import message

from frontend.enrichment import Refusal

NO_TRACEBACK: Final = SimpleNamespace(format_exc=lambda: "")


def tell_sentences_only() -> None:
    """From here on; logs have tracebacks as before."""
    for module in (build, chat, graph, message, vertex):
        module.traceback = NO_TRACEBACK
    in_general = message.ErrorMessage._format_markdown_reason  # noqa: SLF001 - Langflow has no other way

    def reason(exception: BaseException) -> str:
        return str(exception) if isinstance(exception, Refusal) else in_general(exception)

    message.ErrorMessage._format_markdown_reason = staticmethod(reason)  # noqa: SLF001
