"""The command `local`: a whole stack on this machine."""

import shlex
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from common.settings import load_settings
from local import names
from local.kubernetes.command import app as cluster
from local.services import Service
from local.settings import LocalSettings
from local.stack import Stack, StackError, is_ready
from local.state import InvalidInput

app = typer.Typer(
    help="The whole system on one machine. LOCAL_STATE (.local) and LOCAL_PORT (8700) say which stack is meant.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(cluster, name="cluster")
console = Console()
errors = Console(stderr=True)

ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

NEXT: Final = (
    'eval "$(tools/uv run local env)"; export FILEPROC_TOKEN=$(tools/uv run local token alice)',
    "tools/uv run fileproc enrich tools/local/samples/invoices.csv -o enriched.csv",
)

Departments = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Folder of your own Department files (*.yaml), beside ours."),
]
Data = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="Folder of their data: DATA/<department>/<object>."),
]


class Stopped(Exception):
    """Somebody asked this command to stop."""


def fail(message: object, code: int = 1) -> NoReturn:
    """Say what is wrong, and end."""
    errors.print(str(message), style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)


def running() -> Stack:
    """The stack that is up in the state folder; ends the command where there is none."""
    settings = load_settings(LocalSettings)
    stack = Stack(settings.local_state)
    if not stack.is_up:
        fail(f"Nothing is up in {settings.local_state}. Start it: tools/uv run local up")
    return stack


@app.command()
def up(
    *,
    background: Annotated[bool, typer.Option("--background", help="Return, and leave it running.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="With --background: return once all is ready.")] = False,
    departments: Departments = None,
    data: Data = None,
    demo: Annotated[bool, typer.Option("--demo", help="Enrich the sample files once all is ready.")] = False,
    frontend: Annotated[bool, typer.Option("--frontend", help="With the page, Langflow (make frontend).")] = False,
) -> None:
    """Start everything. Ctrl-C stops it, and leaves nothing behind."""
    settings = load_settings(LocalSettings)
    stack = Stack(
        settings.local_state,
        settings.local_port,
        departments=departments,
        data=data,
        restart=True,
        frontends=1 if frontend else 0,
    )
    raise_on_signals()
    started = False
    try:
        start(stack)
        started = True
        if background and not wait and not demo:
            console.print("Starting in the background; [bold]local status[/] tells when it is ready.")
            return
        wait_until_ready(stack)
        introduce(stack)
        if demo:
            show_demo(stack)
        if background:
            return
        console.print("Ctrl-C stops it.", style="dim")
        follow(stack)
    except Stopped:
        stop(stack)
    except (StackError, InvalidInput) as error:
        if started:
            stop(stack)
        fail(error)


@app.command()
def down() -> None:
    """Stop everything, also what a killed runner left behind."""
    stack = Stack(load_settings(LocalSettings).local_state)
    stop(stack)


@app.command()
def status() -> None:
    """Show each process. Exits 1 unless all of them are ready."""
    stack = running()
    states = {process.name: process for process in stack.supervisor.processes() or []}
    table = Table("process", "state", "pid", "since", "ready", "log", box=None, pad_edge=False)
    all_ready = True
    for service in stack.services:
        process, ready = states.get(service.name), is_ready(service)
        all_ready = all_ready and ready
        table.add_row(
            service.name,
            process.state.lower() if process else "gone",
            str(process.pid) if process and process.pid else "",
            time.strftime("%H:%M:%S", time.localtime(process.started)) if process and process.pid else "",
            "[green]yes[/]" if ready else "[red]no[/]",
            shown_path(stack.log(service.name)),
        )
    console.print(table)
    if not all_ready:
        raise typer.Exit(1)


@app.command()
def env(
    process: Annotated[
        str | None, typer.Argument(help="With all settings of this process, to run it alone: gateway, mcp-finance, …")
    ] = None,
    role: Annotated[
        str | None, typer.Option(help=f"With credentials of this IAM role: {', '.join(names.ON_PREMISES_ROLES)}.")
    ] = None,
) -> None:
    """Print shell exports: eval "$(uv run local env)"."""
    stack = running()
    variables = stack.environment()
    if process is not None:
        known = {service.name: service for service in stack.services}
        if process not in known:
            fail(f"There is no process '{process}'. There are: {', '.join(known)}", 2)
        # It shall not want the ports of the stack's own.
        own = {name: value for name, value in known[process].environment.items() if name != "PORT"}
        variables |= own | {"METRICS_PORT": "0"}
    if role is not None:
        if role not in names.ON_PREMISES_ROLES:
            fail(f"There is no role '{role}'. There are: {', '.join(names.ON_PREMISES_ROLES)}", 2)
        variables |= stack.role_credentials(role)
    print("unset AWS_PROFILE AWS_SESSION_TOKEN")  # they would count for more than what follows
    for name, value in variables.items():
        print(f"export {name}={shlex.quote(value)}")


@app.command()
def token(user: Annotated[str, typer.Argument(help="A demo user, such as alice.")]) -> None:
    """Print an access token of a demo user."""
    known = [each.name for each in names.DEMO_USERS]
    if user not in known:
        fail(f"There is no demo user '{user}'. There are: {', '.join(known)}", 2)
    stack = running()
    try:
        print(stack.token(user))
    except StackError as error:
        fail(error)


@app.command()
def demo() -> None:
    """Start everything, enrich the sample files as several users, stop. Exits 0, or says what failed."""
    settings = load_settings(LocalSettings)
    stack = Stack(settings.local_state)
    if stack.is_up:
        show_demo(stack)
        return
    stack = Stack(settings.local_state, settings.local_port, restart=True)
    raise_on_signals()
    try:
        start(stack)
        wait_until_ready(stack)
        show_demo(stack)
    except Stopped:
        raise typer.Exit(130) from None
    except StackError as error:
        fail(error)
    finally:
        stop(stack)


def raise_on_signals() -> None:
    """Let a signal that ends this command end it in order: once, and what is being stopped is stopped."""

    def raise_stopped(_: int, __: FrameType | None) -> None:
        ignore_signals()
        raise Stopped

    for number in ENDING_SIGNALS:
        signal.signal(number, raise_stopped)


def ignore_signals() -> None:
    """Go on whatever is asked for: what is begun here is bounded in time."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def start(stack: Stack) -> None:
    """Start all processes."""
    with console.status("Writing the departments' data, keys and settings …"):
        stack.start()


def wait_until_ready(stack: Stack) -> None:
    """Wait, and show what is there already."""
    missing = [service.name for service in stack.services]
    with console.status("") as spinner:

        def on_ready(service: Service, seconds: float) -> None:
            missing.remove(service.name)
            console.print(f"[green]✓[/] {service.name:<16} {seconds:5.1f} s")
            spinner.update(f"Waiting for {', '.join(missing)} …")

        spinner.update(f"Waiting for {', '.join(missing)} …")
        stack.wait(on_ready)


def introduce(stack: Stack) -> None:
    """Say where everything is, and who may log in."""
    places = Table.grid(padding=(0, 2))
    for name, place in (
        ("In a browser", stack.addresses.app),
        ("REST", f"{stack.addresses.api}/api"),
        ("MCP", f"{stack.addresses.api}/mcp"),
        ("Logs", shown_path(stack.state.logs)),
    ):
        places.add_row(f"[bold]{name}[/]", place)
    users = Table("user", "groups", box=None, pad_edge=False)
    for user in names.DEMO_USERS:
        users.add_row(user.name, ", ".join(user.groups) or "[dim]none[/]")
    console.print()
    console.print(places)
    console.print()
    console.print(f"The password of every demo user is [bold]{names.PASSWORD}[/]")
    console.print(users)
    console.print()
    console.print("Next, in another terminal:", style="dim")
    for command in NEXT:
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)


def show_demo(stack: Stack) -> None:
    """Run the demo; ends the command where it fails."""
    # Imported here: it brings the client and the MCP SDK along, which no other command needs.
    from local.demo import DemoFailed, run

    try:
        run(stack, console)
    except DemoFailed as error:
        raise StackError(f"The demo failed: {error}") from error


def follow(stack: Stack) -> None:
    """Say when a process ends, until somebody stops the stack."""
    pids: dict[str, int] = {}
    while (processes := stack.supervisor.processes()) is not None:
        for process in processes:
            before = pids.get(process.name)
            pids[process.name] = process.pid
            if before is None or before == process.pid:
                continue
            what = "ended and was started again" if process.pid else f"ended ({process.description})"
            console.print(f"[yellow]{process.name} {what}[/]; see {shown_path(stack.log(process.name))}")
        time.sleep(1)
    console.print("It was stopped from elsewhere.")


def stop(stack: Stack) -> None:
    """Stop everything, and say so; no signal makes this stop halfway."""
    ignore_signals()
    with console.status("Stopping …"):
        count = stack.stop()
    console.print(f"Stopped {count} processes." if count else "Nothing was running.")


def shown_path(path: Path) -> str:
    """A path as short as it can be said from here."""
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
