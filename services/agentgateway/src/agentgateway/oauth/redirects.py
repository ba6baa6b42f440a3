"""Where a login may lead: programs on the person's own machine, and the known clients that run elsewhere.

A redirect URI is compared as text, never parsed and put together again: two parsers that disagree about where the host
ends send a code to somebody else.
"""

import re
from collections.abc import Iterable, Mapping

KNOWN_REDIRECTS: Mapping[str, tuple[str, ...]] = {
    # microsoft/vscode, src/vs/base/common/oauth.ts (its loopback addresses need no entry)
    "VS Code": ("https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect"),
    # docs.cursor.com, Model Context Protocol, static OAuth
    "Cursor": ("cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback"),
    # support.claude.com, building custom connectors by remote MCP servers: both hosts
    "claude.ai": ("https://claude.ai/api/mcp/auth_callback", "https://claude.com/api/mcp/auth_callback"),
    # developers.openai.com, Apps SDK, authentication: one callback for each connector, and the one of older connectors
    "ChatGPT": ("https://chatgpt.com/connector/oauth/*", "https://chatgpt.com/connector_platform_oauth_redirect"),
}
"""Redirect URIs that are not on the person's machine, by client. Claude Code, Codex, Gemini CLI, opencode, the MCP
Inspector and mcp-remote listen on loopback addresses."""

DEFAULT_REDIRECTS = tuple(uri for uris in KNOWN_REDIRECTS.values() for uri in uris)

MAX_LENGTH = 512

_SEGMENT = r"(?:(?!\.{1,2}(?:/|$))[A-Za-z0-9._~-]+)"
_LOOPBACK = re.compile(
    rf"http://(?P<host>127\.0\.0\.1|localhost|\[::1\])(?::(?P<port>[1-9][0-9]{{0,4}}))?(?P<path>(?:/{_SEGMENT})*/?)"
)
_ENTRY = re.compile(
    rf"(?:https://[a-z0-9-]+(?:\.[a-z0-9-]+)+|(?!(?:https?|javascript|data|file|blob|vbscript|about)://)"
    rf"[a-z][a-z0-9+.-]*://[a-z0-9.-]+)(?:/{_SEGMENT})+(?:/\*)?"
)
_WILDCARD = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_entry(value: str) -> bool:
    """Whether `value` may be on the list: https or a program's own scheme, with host and path; `/*` is one segment."""
    return len(value) <= MAX_LENGTH and _ENTRY.fullmatch(value) is not None


def is_allowed(uri: str, listed: Iterable[str]) -> bool:
    """Whether a login may lead to `uri`: a loopback address of any port (RFC 8252, section 7.3), or one of the list."""
    return len(uri) <= MAX_LENGTH and (_loopback(uri) is not None or any(_matches(uri, entry) for entry in listed))


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether a client registered `uri`: the same text, but for the port of a loopback address."""
    return any(uri == each or ((own := _loopback(uri)) is not None and own == _loopback(each)) for each in registered)


def destination(uri: str) -> str:
    """Where `uri` leads, in words for a person."""
    scheme, _, rest = uri.partition("://")
    host = rest.partition("/")[0]
    if scheme == "http":
        return f"a program on this computer ({host})"
    return host if scheme == "https" else f"the program for {scheme}:// on this computer"


def _loopback(uri: str) -> tuple[str, str] | None:
    found = _LOOPBACK.fullmatch(uri)
    if found is None or int(found["port"] or 80) > 65535:
        return None
    return found["host"], found["path"]


def _matches(uri: str, entry: str) -> bool:
    if entry.endswith("/*"):
        prefix = entry[:-1]
        return uri.startswith(prefix) and _WILDCARD.fullmatch(uri[len(prefix) :]) is not None
    return uri == entry
