"""The service's REST interface as Python."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

import httpx2

from fileproc import download, events, upload
from fileproc.errors import FileprocError, JobFailed, sentence
from fileproc.models import (
    Department,
    Departments,
    File,
    FilePage,
    Job,
    JobPage,
    Misses,
    MissesList,
    Preview,
    Recipe,
    RecipeList,
    RecipeSummary,
    Report,
    UploadPage,
)
from fileproc.transport import BearerAuth, Retry, TokenSource, Transport, parse


class FixedToken:
    """A token that was handed in and cannot be renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """The token."""
        return self._token

    def renew(self, rejected: str) -> None:
        """There is no other."""


class Client:
    """One user's view of the service. A context manager; can be shared between threads.

    Every method raises `FileprocError`. What is harmless to repeat is tried again for some seconds when the service is
    out of reach, overloaded or restarting.
    """

    def __init__(
        self,
        url: str,
        token: str | TokenSource,
        *,
        retry: Retry | None = None,
        on_retry: Callable[[FileprocError, float], None] | None = None,
        large_file: int = upload.LARGE,
    ) -> None:
        """Nothing is sent yet.

        Args:
            url: The gateway, such as `https://api.example.com`.
            token: An access token, or where to get one.
            retry: How often and how long the same request is tried.
            on_retry: Is told the error, and the seconds until the next attempt.
            large_file: Bytes from which on a file is sent in parts, straight to storage.
        """
        tokens = FixedToken(token) if isinstance(token, str) else token
        self._api = Transport(url.rstrip("/"), auth=BearerAuth(tokens), retry=retry, on_retry=on_retry)
        # Presigned addresses carry their own authorisation, and nobody's token.
        self._storage = Transport(retry=retry or upload.STORAGE_RETRY, on_retry=on_retry)
        self._large_file = large_file

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._api.close()
        self._storage.close()

    def departments(self) -> list[Department]:
        """The departments, data sets and columns that the caller may use."""
        return list(parse(self._api.request("GET", "/api/departments"), Departments).departments)

    def upload(self, path: Path, *, name: str | None = None, advance: upload.Advance | None = None) -> File:
        """Send a file in constant memory; a large one in parts, several at once.

        Args:
            path: The file.
            name: What the service shall call it, if not by its own name; the extension tells the format.
            advance: Is told bytes as they are sent; negative where they have to be sent again.
        """
        # A name on this machine may be any bytes; in an address it is UTF-8.
        name = name or os.fsencode(path.name).decode(errors="replace")
        return upload.send_file(self._api, self._storage, path, name, advance or (lambda _: None), self._large_file)

    def file(self, file_id: str) -> File:
        """A file that was uploaded."""
        return parse(self._api.request("GET", _path("files", file_id)), File)

    def files(self, *, limit: int = 50, cursor: str | None = None) -> FilePage:
        """One page of the caller's files, newest first."""
        return parse(self._api.request("GET", "/api/files", params=_page(limit, cursor)), FilePage)

    def uploads(self, *, limit: int = 50, cursor: str | None = None) -> UploadPage:
        """One page of the caller's uploads that are neither complete nor aborted, newest first."""
        return parse(self._api.request("GET", "/api/uploads", params=_page(limit, cursor)), UploadPage)

    def abort_upload(self, upload_id: str) -> None:
        """Throw an upload away that is not complete."""
        self._api.request("DELETE", _path("uploads", upload_id))

    def delete_file(self, file_id: str) -> None:
        """Remove a file and the results made from it."""
        self._api.request("DELETE", _path("files", file_id))

    def preview(
        self,
        file_id: str,
        *,
        departments: Sequence[str] | None = None,
        mapping: Mapping[str, Sequence[str]] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        options: Mapping[str, Any] | None = None,
        approve: Sequence[str] = (),
        keys: Mapping[str, Mapping[str, str]] | None = None,
        recipe: str | None = None,
        recipe_version: int | None = None,
        anyway: bool = False,
        rows: int = 10,
    ) -> Preview:
        """The first rows enriched, and why which column was taken for a key. See `submit` for the arguments."""
        used = _used(recipe, recipe_version, anyway=anyway)
        body = _wish(file_id, departments, mapping, columns, options, approve, keys) | used | {"rows": rows}
        return parse(self._api.request("POST", "/api/preview", json=body), Preview)

    def submit(
        self,
        file_id: str,
        *,
        departments: Sequence[str] | None = None,
        mapping: Mapping[str, Sequence[str]] | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        options: Mapping[str, Any] | None = None,
        approve: Sequence[str] = (),
        keys: Mapping[str, Mapping[str, str]] | None = None,
        recipe: str | None = None,
        recipe_version: int | None = None,
        anyway: bool = False,
    ) -> Job:
        """Begin to enrich a file. However often the request has to be repeated, it makes one job.

        Args:
            file_id: What `upload` returned.
            departments: Only these; otherwise all that the caller may use.
            mapping: Data sets by input column, such as `{"vendor_id": ["finance.vendors"]}`; otherwise they are found.
            columns: The columns to add, by data set; otherwise all that the caller may see.
            options: How the file is read, such as `{"sheet": 2, "header_row": 3}`; otherwise it is detected.
            approve: Causes, such as `leading_zeros`: of every key that is not found with one of them, the best proposal
                is used.
            keys: The key to use by data set and by the key in the file: `{"finance.vendors": {"1": "V-00001"}}`.
            recipe: A recipe whose choices are used where none are given here.
            recipe_version: Its version; otherwise the newest.
            anyway: Whether to use a recipe that does not fit the file.

        Raises:
            UnclearMapping: Which column is which key has to be said.
        """
        used = _used(recipe, recipe_version, anyway=anyway)
        body = _wish(file_id, departments, mapping, columns, options, approve, keys) | used
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return parse(self._api.request("POST", "/api/jobs", json=body, headers=headers), Job)

    def jobs(self, *, limit: int = 50, cursor: str | None = None) -> JobPage:
        """One page of the caller's jobs, newest first."""
        return parse(self._api.request("GET", "/api/jobs", params=_page(limit, cursor)), JobPage)

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        return parse(self._api.request("GET", _path("jobs", job_id)), Job)

    def events(self, job_id: str) -> Iterator[Job]:
        """The job as it is now, then on each change, up to and including its last state."""
        return events.follow(self._api, _path("jobs", job_id, "events"), lambda: self.job(job_id))

    def wait(self, job_id: str, on_change: Callable[[Job], None] | None = None) -> Job:
        """Wait until the job has succeeded.

        Raises:
            JobFailed: It failed, or was cancelled.
        """
        for job in self.events(job_id):
            if on_change:
                on_change(job)
        return succeeded(job)

    def cancel(self, job_id: str) -> Job:
        """Ask for a job to be stopped; what it made is removed."""
        return parse(self._api.request("DELETE", _path("jobs", job_id)), Job)

    def retry(self, job_id: str) -> Job:
        """Begin a job that failed again, from its file."""
        # Sent twice it would be refused the second time, although the first one worked.
        return parse(self._api.request("POST", _path("jobs", job_id, "retry"), harmless=False), Job)

    def misses(self, job_id: str) -> tuple[Misses, ...]:
        """The keys that a job did not find: why, and which ones may have been meant."""
        return parse(self._api.request("GET", _path("jobs", job_id, "misses")), MissesList).misses

    def review(
        self, job_id: str, *, approve: Sequence[str] = (), keys: Mapping[str, Mapping[str, str]] | None = None
    ) -> Job:
        """Begin to enrich the file of a job again, with other keys in place of those that were not found.

        Args:
            job_id: The job that did not find them.
            approve: Causes, such as `leading_zeros`: of every key with one of them, the best proposal is used.
            keys: The key to use by data set and by the key in the file: `{"finance.vendors": {"1": "V-00001"}}`.
        """
        body = {"approve": list(approve), "keys": {dataset: dict(pairs) for dataset, pairs in (keys or {}).items()}}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        return parse(self._api.request("POST", _path("jobs", job_id, "review"), json=body, headers=headers), Job)

    def recipes(self) -> tuple[RecipeSummary, ...]:
        """The caller's recipes, then those that are shared with their groups."""
        return parse(self._api.request("GET", "/api/recipes"), RecipeList).recipes

    def recipe(self, name: str, version: int | None = None) -> Recipe:
        """A version of a recipe, the newest by default."""
        params = {} if version is None else {"version": str(version)}
        return parse(self._api.request("GET", _path("recipes", name), params=params), Recipe)

    def save_recipe(
        self,
        name: str,
        *,
        from_job: str | None = None,
        from_version: int | None = None,
        choices: Mapping[str, Any] | None = None,
    ) -> Recipe:
        """Keep one of the three under a name: a recipe that is there gets a new version.

        Args:
            name: The recipe's.
            from_job: A finished job, whose choices and approved keys are kept.
            from_version: The version that is restored.
            choices: As `submit` takes them.
        """
        sources = {"from_job": from_job, "from_version": from_version, "choices": choices}
        body = {source: given for source, given in sources.items() if given is not None}
        # Sent twice, it would make two versions.
        return parse(self._api.request("PUT", _path("recipes", name), json=body, harmless=False), Recipe)

    def share_recipe(self, name: str, groups: Sequence[str]) -> Recipe:
        """Let the members of these groups, and of no others, read and use a recipe."""
        body = {"groups": list(groups)}
        return parse(self._api.request("PUT", _path("recipes", name, "groups"), json=body), Recipe)

    def delete_recipe(self, name: str) -> None:
        """Delete a recipe with all its versions."""
        self._api.request("DELETE", _path("recipes", name))

    def result(self, job_id: str) -> Iterator[bytes]:
        """The enriched file; broken connections are taken up again where they broke."""
        return download.stream(self._api, _path("jobs", job_id, "result"))

    def download(
        self, job_id: str, path: Path, *, overwrite: bool = False, advance: Callable[[int], None] | None = None
    ) -> int:
        """Save the enriched file under `path`, which is there whole or not at all. Returns its size in bytes.

        Raises:
            OutputExists: `path` is there, and `overwrite` is not set.
            OSError: It cannot be written.
        """
        return download.save(self.result(job_id), path, overwrite=overwrite, advance=advance or (lambda _: None))

    def report(self, job_id: str) -> Report:
        """What the enrichment did: rows, matched and unmatched keys, versions of the data."""
        return parse(self._report(job_id, "json"), Report)

    def rendered_report(self, job_id: str, form: Literal["text", "html", "json"]) -> str:
        """The same, as the service writes it for people."""
        return self._report(job_id, form).text

    def _report(self, job_id: str, form: str) -> httpx2.Response:
        return self._api.request("GET", _path("jobs", job_id, "report"), params={"format": form})


def _page(limit: int, cursor: str | None) -> dict[str, str]:
    return {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})


def _path(*parts: str) -> str:
    """The path of a resource; an identifier that somebody typed cannot lead elsewhere."""
    return "/api/" + "/".join(quote(part, safe="") for part in parts)


def succeeded(job: Job) -> Job:
    """The finished job, if it has a result.

    Raises:
        JobFailed: It has none; the message says why, and what to do.
    """
    if job.status == "succeeded":
        return job
    if job.status == "cancelled":
        raise JobFailed(f"Job {job.id} was cancelled.", job)
    why = sentence(job.error.model_dump()) if job.error else "the service does not say why."
    advice = f" Try again: fileproc retry {job.id}" if job.retryable else ""
    raise JobFailed(f"Job {job.id} failed: {why}{advice}", job)


def _wish(
    file_id: str,
    departments: Sequence[str] | None,
    mapping: Mapping[str, Sequence[str]] | None,
    columns: Mapping[str, Sequence[str]] | None,
    options: Mapping[str, Any] | None,
    approve: Sequence[str],
    keys: Mapping[str, Mapping[str, str]] | None,
) -> dict[str, Any]:
    """What is to be done with a file, without what is left to the service."""
    wishes: dict[str, Any] = {
        "departments": departments,
        "mapping": mapping,
        "columns": columns,
        "options": options,
        "approve": list(approve) or None,
        "keys": keys,
    }
    return {"file": file_id} | {name: wish for name, wish in wishes.items() if wish is not None}


def _used(recipe: str | None, version: int | None, *, anyway: bool) -> dict[str, Any]:
    """The recipe that is to be used, as far as it is said."""
    wishes = {"recipe": recipe, "recipe_version": version, "anyway": anyway or None}
    return {name: wish for name, wish in wishes.items() if wish is not None}
