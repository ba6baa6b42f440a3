"""File Enrichment: a file in; preview, progress, the enriched file and the report out."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lfx.base.data.storage_utils import get_file_size_async, read_file_bytes
from lfx.custom import Component
from lfx.io import FileInput, HandleInput, MessageTextInput, MultilineInput, Output
from lfx.schema import Data, DataFrame
from lfx.schema.message import Message

from fileproc.models import FILE_OPTIONS
from frontend import attachments, context, enrichment
from frontend.enrichment import Refusal

MOST_BYTES = 100_000_000


class FileEnrichment(Component):
    """A file of keys comes back with what your departments know of them."""

    display_name = "File Enrichment"
    description = "Adds what your departments know to a file with vendor, employee or contract numbers."
    icon = "FileSpreadsheet"
    name = "FileEnrichment"

    inputs = [  # noqa: RUF012 - as Langflow declares components
        HandleInput(
            name="message",
            display_name="Message",
            info="A chat message with a file attached. It may say what columns hold (supplier = finance.vendors) "
            "and how the file is read (delimiter = ;).",
            input_types=["Message"],
        ),
        FileInput(
            name="file",
            display_name="File",
            info="The file, where none is attached to a message.",
            file_types=list(enrichment.FILE_TYPES),
        ),
        MessageTextInput(
            name="departments",
            display_name="Departments",
            info="Only these, such as: finance, hr. Empty: all that you may use.",
            advanced=True,
        ),
        MultilineInput(
            name="options",
            display_name="Options",
            info=f"How the file is read, one a line, such as: header_row = 3. Options: {', '.join(FILE_OPTIONS)}.",
            advanced=True,
        ),
    ]
    outputs = [  # noqa: RUF012
        Output(name="answer", display_name="Answer", method="answer", group_outputs=True),
        Output(name="preview", display_name="Preview", method="preview", group_outputs=True),
        Output(name="report", display_name="Report", method="report", group_outputs=True),
        Output(name="enriched", display_name="Enriched File", method="enriched", group_outputs=True),
    ]

    async def answer(self) -> Message:
        """For the chat: the enriched file and the report, or a sentence that says what is wrong."""
        try:
            files = await self._files()
        except Refusal as refusal:
            return Message(text=str(refusal))
        if not files:
            return Message(text=enrichment.NOTHING_ATTACHED)
        texts = []
        for file_id, name in files:
            try:
                texts.append(enrichment.result_text(await self._enrich(file_id, name)))
            except Refusal as refusal:
                texts.append(f"**{enrichment.plain(name)}**\n\n{refusal}")
        return Message(text="\n\n---\n\n".join(texts))

    async def preview(self) -> DataFrame:
        """The first rows, enriched."""
        file_id, _ = await self._first()
        async with context.client() as client:
            found = await enrichment.preview(client, file_id, self._wishes())
        return DataFrame([dict(zip(found.columns, row, strict=True)) for row in found.rows])

    async def report(self) -> DataFrame:
        """What was found, and what was not."""
        done = await self._enrich(*await self._first())
        head, rows = enrichment.report_table(done.report)
        return DataFrame([dict(zip(head, row, strict=True)) for row in rows])

    async def enriched(self) -> Data:
        """Where the enriched file is."""
        job = (await self._enrich(*await self._first())).job
        return Data(data={"job": job.id, "file": job.file.name, "url": f"/gateway/api/jobs/{job.id}/result"})

    async def _enrich(self, file_id: str, name: str) -> enrichment.Done:
        """Enrich a file once, however many outputs want something of it."""
        if file_id in self._state["done"]:
            return self._state["done"][file_id]
        wishes = self._wishes()
        async with context.client() as client:
            head = enrichment.preview_text(name, await enrichment.preview(client, file_id, wishes))
            begun = await enrichment.submit(client, file_id, wishes)
            shown: Message | None = None
            async for job in enrichment.follow(client, begun.id):
                text = f"{head}\n\n**{enrichment.progress_line(job)}**"
                if not job.is_finished:
                    text += f"\n\n{enrichment.GOES_ON}"
                shown = await self._show(text, shown)
            done = await enrichment.finish(client, begun.id)
        self._state["done"][file_id] = done
        return done

    async def _show(self, text: str, before: Message | None) -> Message:
        """Say in the chat how far it is, in the place of what was said before."""
        if before is None:
            message = Message(text=text, sender="Machine", sender_name="File Processing")
            message.session_id = self.graph.session_id
            return await self.send_message(message)
        before.text = text
        return await self.send_message(before)

    def _wishes(self) -> dict[str, Any]:
        names = [name.strip() for name in (self.departments or "").replace(";", ",").split(",") if name.strip()]
        text = self.message.text if isinstance(self.message, Message) else ""
        said = f"{self.options or ''}\n{text or ''}"
        return {
            "departments": names or None,
            "mapping": enrichment.mapping_in(str(text or "")),
            "options": enrichment.options_in(said),
        }

    async def _first(self) -> tuple[str, str]:
        files = await self._files()
        if not files:
            raise Refusal("There is no file to enrich. Attach one to the message, or choose one in the component.")
        return files[0]

    async def _files(self) -> list[tuple[str, str]]:
        """The files of the message, and that of the component, as the service knows them."""
        if self._state["files"] is None:
            attached = self.message.files if isinstance(self.message, Message) else []
            found = [file for path in attached or [] if (file := attachments.file_of(str(path)))]
            if self.file:
                found.append(await self._upload(str(self.file)))
            self._state["files"] = found
        return list(self._state["files"])

    async def _upload(self, path: str) -> tuple[str, str]:
        """Send a file of the canvas, which Langflow keeps, to the service."""
        if await get_file_size_async(path) > MOST_BYTES:
            raise Refusal("This file is too large for the canvas. Attach it in the Playground instead.")
        content = await read_file_bytes(path)
        with TemporaryDirectory() as folder:
            file = Path(folder) / Path(path).name
            file.write_bytes(content)
            async with context.client() as client:
                sent = await asyncio.to_thread(client.upload, file)
        return sent.id, sent.name

    @property
    def _state(self) -> dict[str, Any]:
        """What belongs to this run alone: each run is a component of its own."""
        return self.__dict__.setdefault("_run_state", {"done": {}, "files": None})
