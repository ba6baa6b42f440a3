"""What the conformance suite asks of a server: tools, prompts and resources of fixed names that give fixed answers."""

import base64
import json
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer, RequestStateSecurity
from mcp.server.mcpserver.prompts.base import Prompt, UserMessage
from mcp.shared.exceptions import MCPError
from mcp_types import (
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    Completion,
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field, JsonValue

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
AUDIO = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
PICTURE = ImageContent(data=IMAGE, mime_type="image/png")

fixtures = MCPServer(
    "fixtures", request_state_security=RequestStateSecurity(keys=[b"a key of 32 bytes, for the tests"])
)


def text(words: str) -> TextContent:
    return TextContent(text=words)


def embedded(uri: str, mime_type: str, words: str) -> EmbeddedResource:
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=words))


@fixtures.tool("test_simple_text")
def simple_text() -> str:
    return "This is a simple text response for testing."


@fixtures.tool("test_image_content")
def image_content() -> list[ImageContent]:
    return [PICTURE]


@fixtures.tool("test_audio_content")
def audio_content() -> list[AudioContent]:
    return [AudioContent(data=AUDIO, mime_type="audio/wav")]


@fixtures.tool("test_embedded_resource")
def embedded_resource() -> list[EmbeddedResource]:
    return [embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@fixtures.tool("test_multiple_content_types")
def multiple_content_types() -> list[TextContent | ImageContent | EmbeddedResource]:
    resource = embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}')
    return [text("Multiple content types test:"), PICTURE, resource]


@fixtures.tool("test_tool_with_logging")
async def tool_with_logging(ctx: Context) -> str:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.request_context.session.send_log_message("info", words, related_request_id=ctx.request_id)
    return "Tool with logging executed successfully"


@fixtures.tool("test_logging_tool")
async def logging_tool(ctx: Context) -> str:
    await ctx.request_context.session.send_log_message("info", "logged", related_request_id=ctx.request_id)
    return "Logged, where the client asked for it"


@fixtures.tool("test_streaming_elicitation")
async def streaming_elicitation(ctx: Context) -> InputRequiredResult:
    await ctx.report_progress(progress=1, total=2)
    return InputRequiredResult(input_requests={"user_name": ask("What is your name?", name="string")})


@fixtures.tool("test_tool_with_progress")
async def tool_with_progress(ctx: Context) -> str:
    for step in (0, 50, 100):
        await ctx.report_progress(progress=step, total=100, message=f"Completed step {step} of 100")
    return "done"


@fixtures.tool("test_error_handling")
def error_handling() -> str:
    raise RuntimeError("This tool intentionally returns an error for testing")


@fixtures.tool("test_sampling")
async def sampling(prompt: str, ctx: Context) -> str:
    answer = await ctx.session.create_message(
        messages=[SamplingMessage(role="user", content=text(prompt))], max_tokens=100, related_request_id=ctx.request_id
    )
    return f"LLM response: {answer.content.text if answer.content.type == 'text' else 'No response'}"


class Response(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[str, Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})] = "active"
    verified: bool = True


def titled(**titles: str) -> list[JsonValue]:
    return [{"const": const, "title": title} for const, title in titles.items()]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": ["active", "inactive", "pending"]})  # noqa: N815
    titledSingle: str = Field(json_schema_extra={"oneOf": titled(low="Low", medium="Medium", high="High")})  # noqa: N815
    untitledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"type": "string", "enum": ["read", "write", "execute"]}}
    )
    titledMulti: list[str] = Field(  # noqa: N815
        json_schema_extra={"items": {"anyOf": titled(feature="New Feature", bug="Bug Fix", docs="Documentation")}}
    )
    legacyEnum: str = Field(  # noqa: N815
        json_schema_extra={"enum": ["small", "large"], "enumNames": ["Small Size", "Large Size"]}
    )


async def elicited(ctx: Context, said: str, message: str, schema: type[BaseModel]) -> str:
    answer = await ctx.elicit(message=message, schema=schema)
    content = answer.data.model_dump_json() if answer.action == "accept" else "{}"
    return f"{said}: action={answer.action}, content={content}"


@fixtures.tool("test_elicitation")
async def elicitation(message: str, ctx: Context) -> str:
    return await elicited(ctx, "User response", message, Response)


@fixtures.tool("test_elicitation_sep1034_defaults")
async def elicitation_sep1034_defaults(ctx: Context) -> str:
    return await elicited(ctx, "Elicitation result", "Please provide user information", Defaults)


@fixtures.tool("test_elicitation_sep1330_enums")
async def elicitation_sep1330_enums(ctx: Context) -> str:
    return await elicited(ctx, "Elicitation completed", "Please select values", Enums)


@fixtures.tool("test_x_mcp_header")
def x_mcp_header(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})] = "") -> str:
    return f"region={region}"


@fixtures.tool("test_missing_capability")
def missing_capability(ctx: Context) -> str:
    if ctx.client_capabilities is None or ctx.client_capabilities.sampling is None:
        needed: dict[str, Any] = {"requiredCapabilities": {"sampling": {}}}
        raise MCPError(MISSING_REQUIRED_CLIENT_CAPABILITY, "This tool requires sampling", needed)
    return "Client declared sampling capability; proceeding."


def ask(message: str, **properties: str) -> ElicitRequest:
    schema = {
        "type": "object",
        "properties": {name: {"type": kind} for name, kind in properties.items()},
        "required": list(properties),
    }
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def sample(prompt: str) -> CreateMessageRequest:
    messages = [SamplingMessage(role="user", content=text(prompt))]
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=messages, max_tokens=100))


def answer_of(ctx: Context, request: str, member: str) -> Any:
    answer = (ctx.input_responses or {}).get(request)
    return answer.content.get(member) if isinstance(answer, ElicitResult) and answer.content else None


def answered(ctx: Context, *requests: str) -> bool:
    return set(requests) <= (ctx.input_responses or {}).keys()


@fixtures.tool("test_input_required_result_elicitation")
def input_required_result_elicitation(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "user_name"):
        return f"Hello, {answer_of(ctx, 'user_name', 'name')}!"
    return InputRequiredResult(input_requests={"user_name": ask("What is your name?", name="string")})


@fixtures.tool("test_input_required_result_sampling")
def input_required_result_sampling(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "capital_question"):
        return "Model said something"
    return InputRequiredResult(input_requests={"capital_question": sample("What is the capital of France?")})


@fixtures.tool("test_input_required_result_list_roots")
def input_required_result_list_roots(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "client_roots"):
        return "Client exposed its roots."
    return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})


@fixtures.tool("test_input_required_result_request_state")
def input_required_result_request_state(ctx: Context) -> str | InputRequiredResult:
    if answered(ctx, "confirm") and ctx.request_state == "nonce":
        return "state-ok: confirmation received"
    return InputRequiredResult(input_requests={"confirm": ask("Please confirm", ok="boolean")}, request_state="nonce")


@fixtures.tool("test_input_required_result_multiple_inputs")
def input_required_result_multiple_inputs(ctx: Context) -> str | InputRequiredResult:
    requests: dict[str, InputRequest] = {
        "user_name": ask("What is your name?", name="string"),
        "greeting": sample("Generate a greeting"),
        "client_roots": ListRootsRequest(),
    }
    if answered(ctx, *requests):
        return "All inputs received."
    return InputRequiredResult(input_requests=requests, request_state="multiple-inputs")


@fixtures.tool("test_input_required_result_multi_round")
def input_required_result_multi_round(ctx: Context) -> str | InputRequiredResult:
    state = json.loads(ctx.request_state or "{}")
    if answered(ctx, "step2") and "name" in state:
        return f"{state['name']} likes {answer_of(ctx, 'step2', 'color')}."
    if answered(ctx, "step1"):
        step2 = {"step2": ask("Step 2: What is your favorite color?", color="string")}
        seen = json.dumps({"name": answer_of(ctx, "step1", "name")})
        return InputRequiredResult(input_requests=step2, request_state=seen)
    step1 = {"step1": ask("Step 1: What is your name?", name="string")}
    return InputRequiredResult(input_requests=step1, request_state="{}")


@fixtures.tool("test_input_required_result_tampered_state")
def input_required_result_tampered_state(ctx: Context) -> str | InputRequiredResult:
    if ctx.request_state is not None:
        return f"state-ok: {ctx.request_state}"
    return InputRequiredResult(input_requests={"confirm": ask("Please confirm", ok="boolean")}, request_state="round-1")


@fixtures.tool("test_input_required_result_capabilities")
def input_required_result_capabilities(ctx: Context) -> InputRequiredResult:
    capabilities = ctx.client_capabilities
    requests: dict[str, InputRequest] = {}
    if capabilities is None or capabilities.sampling is not None:
        requests["sample"] = sample("Say hello")
    if capabilities is None or capabilities.elicitation is not None:
        requests["ask"] = ask("What is your name?", name="string")
    return InputRequiredResult(input_requests=requests, request_state="capability-gated")


@fixtures.tool("test_trigger_tool_change")
async def trigger_tool_change(ctx: Context) -> str:
    await ctx.notify_tools_changed()
    return "tool list changed"


@fixtures.tool("test_trigger_prompt_change")
async def trigger_prompt_change(ctx: Context) -> str:
    fixtures.add_prompt(Prompt.from_function(lambda: "dynamic", name="dynamic", description="comes and goes"))
    fixtures.remove_prompt("dynamic")
    await ctx.notify_prompts_changed()
    return "prompt list changed"


@fixtures.resource("test://static-text")
def static_text() -> str:
    return "This is the content of the static text resource."


@fixtures.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(IMAGE)


@fixtures.resource("test://template/{id}/data")
def template(id: str) -> str:  # noqa: A002 - the suite's name
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@fixtures.resource("test://watched-resource")
def watched() -> str:
    return "Watched resource content"


@fixtures.prompt("test_simple_prompt", description="A prompt of the suite")
def simple_prompt() -> list[UserMessage]:
    return [UserMessage("This is a simple prompt for testing.")]


@fixtures.prompt("test_prompt_with_arguments", description="A prompt of the suite")
def prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    return [UserMessage(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'")]


@fixtures.prompt("test_prompt_with_embedded_resource", description="A prompt of the suite")
def prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the suite's name
    return [UserMessage(embedded(resourceUri, "text/plain", "Embedded resource content for testing."))]


@fixtures.prompt("test_prompt_with_image", description="A prompt of the suite")
def prompt_with_image() -> list[UserMessage]:
    return [UserMessage(PICTURE), UserMessage("Please analyze the image above.")]


@fixtures.prompt("test_input_required_result_prompt", description="A prompt of the suite")
def input_required_result_prompt(ctx: Context) -> list[UserMessage] | InputRequiredResult:
    if answered(ctx, "user_context"):
        return [UserMessage(f"Use the following context: {answer_of(ctx, 'user_context', 'context')}")]
    return InputRequiredResult(input_requests={"user_context": ask("What context?", context="string")})


@fixtures.completion()  # type: ignore[no-untyped-call, untyped-decorator]
async def complete(*_: Any) -> Completion:
    return Completion(values=[], total=0, has_more=False)
