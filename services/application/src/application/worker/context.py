"""What a worker works with, made once when it starts."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import ParamSpec, TypeVar

from application.aws.objects import Objects
from application.aws.queue import JobQueue
from application.departments.client import DepartmentClient
from application.jobs.store import JobStore
from application.recipes.store import RecipeStore
from application.sandbox import Sandbox
from application.settings import WorkerSettings
from common.departments import Departments

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Context:
    """Stores, and the two pools of threads: ``calls`` wait for AWS, ``work`` serves the engine's processes.

    They are apart so that a job that computes never delays a heartbeat.
    """

    settings: WorkerSettings
    jobs: JobStore
    recipes: RecipeStore
    objects: Objects
    queue: JobQueue
    directory: Departments
    departments: DepartmentClient
    sandbox: Sandbox
    calls: ThreadPoolExecutor
    work: ThreadPoolExecutor

    async def call(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Run a blocking call of AWS in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self.calls, partial(function, *args, **kwargs))

    async def compute(self, function: Callable[[], Result]) -> Result:
        """Serve a process of the engine in a thread."""
        run = partial(contextvars.copy_context().run, function)
        return await asyncio.get_running_loop().run_in_executor(self.work, run)
