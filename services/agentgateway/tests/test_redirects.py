"""Where a login may lead. The forms are those that clients use, from their own source or documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from agentgateway.oauth.redirects import DEFAULT_REDIRECTS, is_allowed, is_registered
from agentgateway.settings import Settings

CLIENTS = {
    "VS Code (oauth.ts, page)": "https://vscode.dev/redirect",
    "VS Code Insiders (oauth.ts, page)": "https://insiders.vscode.dev/redirect",
    "VS Code (oauth.ts, loopback)": "http://127.0.0.1:33418/",
    "VS Code (oauth.ts, loopback without a path)": "http://127.0.0.1:33418",
    "VS Code (oauth.ts, localhost)": "http://localhost/",
    "Cursor (docs, own scheme)": "cursor://anysphere.cursor-mcp/oauth/callback",
    "Cursor (docs, background agents)": "https://www.cursor.com/agents/mcp/oauth/callback",
    "Codex (rmcp-client, perform_oauth_login.rs)": "http://127.0.0.1:41233/callback",
    "Gemini CLI (mcp/oauth-provider.ts)": "http://localhost:7777/oauth/callback",
    "opencode (mcp/oauth-provider.ts)": "http://127.0.0.1:19876/mcp/oauth/callback",
    "Claude Code (docs)": "http://localhost:54545/callback",
    "claude.ai (help center)": "https://claude.ai/api/mcp/auth_callback",
    "claude.ai (help center, new host)": "https://claude.com/api/mcp/auth_callback",
    "ChatGPT (Apps SDK, a connector's own)": "https://chatgpt.com/connector/oauth/Ab3_dE-f",
    "ChatGPT (Apps SDK, older)": "https://chatgpt.com/connector_platform_oauth_redirect",
    "MCP Inspector (auth.ts)": "http://localhost:6274/oauth/callback",
    "MCP Inspector (auth.ts, guided)": "http://localhost:6274/oauth/callback/debug",
    "mcp-remote (utils.ts)": "http://localhost:3334/oauth/callback",
    "FastMCP (client/auth/oauth.py)": "http://localhost:61234/callback",
    "a program that listens on IPv6": "http://[::1]:5000/cb",
}

EVIL = [
    "",
    " ",
    "https://evil.example/callback",
    "http://evil.example/callback",
    "//evil.example/callback",
    "/callback",
    "javascript:alert(1)",
    "javascript://127.0.0.1/%0aalert(1)",
    "data:text/html,x",
    "data://127.0.0.1/text/html,x",
    "file:///etc/passwd",
    "vbscript:msgbox(1)",
    "blob:https://claude.ai/x",
    "about:blank",
    "http://127.0.0.1:5000@evil.example/callback",
    "http://user@127.0.0.1:5000/callback",
    "http://127.0.0.1:5000:80/callback",
    "http://127.0.0.1:5000/callback#x",
    "http://127.0.0.1:5000/callback?next=https://evil.example",
    "http://127.0.0.1:5000/callback?",
    "http://127.0.0.1:5000\\@evil.example/callback",
    "http://127.0.0.1\\.evil.example/callback",
    "http://127.0.0.1.evil.example:5000/callback",
    "http://127.0.0.1.:5000/callback",
    "http://localhost.evil.example:5000/callback",
    "http://localhost.:5000/callback",
    "http://evil-localhost:5000/callback",
    "http://LOCALHOST:5000/callback",
    "HTTP://localhost:5000/callback",
    "http://127.1:5000/callback",
    "http://2130706433:5000/callback",
    "http://0x7f.0.0.1:5000/callback",
    "http://0177.0.0.1:5000/callback",
    "http://0.0.0.0:5000/callback",
    "http://127.0.0.2:5000/callback",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:127.0.0.1]:5000/callback",
    "http://[0:0:0:0:0:0:0:1]:5000/callback",
    "http://[::1%25eth0]:5000/callback",
    "http://[::1:5000/callback",
    "http://::1:5000/callback",
    "http://[::]:5000/callback",
    "http://127.0.0.1:99999/callback",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:/callback",
    "http://127.0.0.1:05000/callback",
    "http://127.0.0.1:5000//evil.example/callback",
    "http://127.0.0.1:5000/../callback",
    "http://127.0.0.1:5000/%2e%2e/callback",
    "http://127.0.0.1:5000/call\tback",
    "http://127.0.0.1:5000/call\r\nback",
    "http://127.0.0.1:5000/callback\n",
    "http://127.0.0.1%2eevil.example/callback",
    "http://127。0。0。1:5000/callback",
    "http://①27.0.0.1:5000/callback",
    "https://127.0.0.1:5000/callback",
    "https://localhost/callback",
    "https://vscode.dev/redirect?url=https://evil.example",
    "https://vscode.dev/redirect/mcp/install",
    "https://vscode.dev:8443/redirect",
    "https://vscode.dev./redirect",
    "https://VSCODE.dev/redirect",
    "https://vscode.dev.evil.example/redirect",
    "https://evil.example/https://vscode.dev/redirect",
    "https://claude.ai@evil.example/api/mcp/auth_callback",
    "https://claude.ai/api/mcp/auth_callback/../../../share",
    "https://claude.ai/api/mcp/auth_callback/",
    "https://claude.a\u0131/api/mcp/auth_callback",
    "https://claude.ai%2f@evil.example/api/mcp/auth_callback",
    "https://chatgpt.com/connector/oauth/",
    "https://chatgpt.com/connector/oauth/a/b",
    "https://chatgpt.com/connector/oauth/..",
    "https://chatgpt.com/connector/oauth/a?x=1",
    "https://chatgpt.com/connector/oauth/a#x",
    "https://chatgpt.com/connector/oauth/*",
    "cursor://evil/oauth/callback",
    "cursor://anysphere.cursor-mcp/oauth/callback?x=1",
    "Cursor://anysphere.cursor-mcp/oauth/callback",
    "cursor:anysphere.cursor-mcp/oauth/callback",
    "myapp://callback",
    f"http://127.0.0.1:5000/{'a' * 600}",
]


@pytest.mark.parametrize("uri", CLIENTS.values(), ids=CLIENTS.keys())
def test_each_known_client_may_be_returned_to(uri: str) -> None:
    assert is_allowed(uri, DEFAULT_REDIRECTS)
    assert is_registered(uri, [uri])


@pytest.mark.parametrize("uri", EVIL, ids=ascii)
def test_a_login_never_leads_elsewhere(uri: str) -> None:
    assert not is_allowed(uri, DEFAULT_REDIRECTS)


@pytest.mark.parametrize(
    ("uri", "registered", "same"),
    [
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:2/cb", True),
        ("http://[::1]:1/cb", "http://[::1]/cb", True),
        ("http://127.0.0.1:1/cb", "http://localhost:1/cb", False),
        ("http://127.0.0.1:1/cb", "http://127.0.0.1:1/cb/", False),
        ("http://127.0.0.1:1/other", "http://127.0.0.1:1/cb", False),
        ("https://vscode.dev/redirect", "https://insiders.vscode.dev/redirect", False),
        ("https://chatgpt.com/connector/oauth/a", "https://chatgpt.com/connector/oauth/b", False),
    ],
)
def test_only_the_port_of_a_loopback_address_may_differ(uri: str, registered: str, *, same: bool) -> None:
    assert is_registered(uri, [registered]) is same


@given(st.text(alphabet="/:@.#?\\%[]*0127localhostclaude", max_size=40), st.sampled_from(sorted(CLIENTS.values())))
def test_nothing_added_changes_where_a_login_leads(added: str, uri: str) -> None:
    for text in (added + uri, uri + added):
        if is_allowed(text, DEFAULT_REDIRECTS):
            host = text.partition("://")[2].partition("/")[0]
            assert host.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]", "") or host in (
                *("127.0.0.1", "localhost", "[::1]"),
                *(each.partition("://")[2].partition("/")[0] for each in DEFAULT_REDIRECTS),
            )


@pytest.mark.parametrize(
    "uri", ["http://example.com/cb", "https://example.com", "https://example.com/cb?x=1", "javascript://x/y", "*"]
)
def test_a_list_with_an_unsafe_entry_stops_the_start(uri: str) -> None:
    annotation = Settings.model_fields["oauth_redirect_uris"]
    adapter = TypeAdapter(tuple[str, ...])
    assert adapter.validate_python((uri,))
    validator = annotation.metadata[0]
    with pytest.raises((ValidationError, ValueError), match="host and path"):
        validator.func((uri,))
