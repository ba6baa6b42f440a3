// The MCP Inspector's login as its page does it with the TypeScript SDK: its redirect URI, metadata and steps.
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [packages, url, tool] = process.argv.slice(2);
const require = createRequire(join(packages, "package.json"));
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const { UnauthorizedError } = await load("client/auth.js");

let code;
const arrived = new Promise((resolve) => {
  const server = createServer((request, response) => {
    code = new URL(request.url, "http://localhost").searchParams.get("code");
    response.end("done", () => { server.close(); server.closeAllConnections(); resolve(); });
  }).listen(6274, "localhost");
});
const kept = {};
const provider = {
  redirectUrl: "http://localhost:6274/oauth/callback",
  clientMetadata: {
    redirect_uris: ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    client_name: "MCP Inspector",
    client_uri: "https://github.com/modelcontextprotocol/inspector",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => { kept.client = client; },
  tokens: () => kept.tokens,
  saveTokens: (tokens) => { kept.tokens = tokens; },
  saveCodeVerifier: (verifier) => { kept.verifier = verifier; },
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: (address) => { execFileSync(process.env.BROWSER, [address.href], { stdio: "ignore" }); },
};
const connect = async () => {
  const client = new Client({ name: "inspector", version: "1" });
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    await arrived;
    await transport.finishAuth(code);
    return connect();
  }
  return client;
};
const client = await connect();
console.log(JSON.stringify((await client.callTool({ name: tool, arguments: {} })).structuredContent));
await client.close();
