"""A picture: `diagrams` with one look, the same text for the same content, and no rendering unless asked."""

import hashlib
import re
import shutil
import struct
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import graphviz
from diagrams import Cluster, Diagram, Edge, setdiagram

FONT: Final = "DejaVu Sans"
GREY: Final = "#5f6b7a"
TINTS: Final = {
    "region": "#f7f9fc",
    "vpc": "#eef4fb",
    "zone": "#ffffff",
    "public": "#e9f7ec",
    "internal": "#fdf3e1",
    "private": "#e7f0fd",
    "outside": "#f4f4f4",
}


SOURCE: Final = "Source"
"""Keyword in a picture under which the digest of its source is."""


class RendererMissing(Exception):
    """Graphviz, which draws, is not there."""


class Picture(Diagram):  # type: ignore[misc]  # the library has no types
    """`with Picture("traffic", "Traffic flows") as picture:` … and then `picture.draw(folder)`."""

    def __init__(self, name: str, title: str, key: str = "", direction: str = "TB", **graph: str) -> None:
        """Begin; `key` says what the colours mean, `graph` are attributes of Graphviz."""
        look = {
            "splines": "spline",
            "fontname": FONT,
            "fontsize": "22",
            "pad": "0.4",
            "nodesep": "0.45",
            "ranksep": "0.7",
            "labelloc": "t",
        }
        text = {"fontname": FONT, "fontsize": "12", "fontcolor": "#22303c"}
        super().__init__(
            f"{title}\n{key}" if key else title,
            filename=name,
            direction=direction,
            show=False,
            graph_attr=look | graph,
            node_attr=text,
            edge_attr=text,
        )
        self.file_name = name

    def __enter__(self) -> Self:
        """Add to this picture what is made from here on."""
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop adding; nothing is drawn yet."""
        setdiagram(None)

    @property
    def _drawing(self) -> str:
        # Nodes have random names, by which Graphviz would lay the same content out differently each time.
        names: dict[str, str] = {}
        return re.sub(
            r'"?\b([0-9a-f]{32})\b"?', lambda found: names.setdefault(found[1], f"n{len(names)}"), self.dot.source
        )

    @property
    def source(self) -> str:
        """What Graphviz draws, without the paths of this machine: the same text for the same content."""
        return re.sub(r'image="?[^" \]]*/resources/([^" \]]+)"?', r'image="\1"', self._drawing)

    def draw(self, folder: Path) -> Path:
        """Write the picture, and its source beside it; the picture carries its source's digest.

        Raises:
            RendererMissing: Graphviz is not installed.
        """
        if not shutil.which("dot"):
            raise RendererMissing(
                "Graphviz draws the pictures, and its command `dot` is not there: apt-get install graphviz"
            )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{self.file_name}.dot").write_text(self.source)
        target = folder / f"{self.file_name}.png"
        image = graphviz.Source(self._drawing).pipe(format="png", quiet=True)
        target.write_bytes(with_text(image, SOURCE, digest(self.source)))
        return target


def digest(source: str) -> str:
    """What a picture says of the source that it was drawn from."""
    return hashlib.sha256(source.encode()).hexdigest()


def with_text(image: bytes, keyword: str, text: str) -> bytes:
    """A PNG with a tEXt chunk more, before its end (PNG, third edition, section 11.3.3.3)."""
    body = b"tEXt" + keyword.encode("latin-1") + b"\0" + text.encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    end = image.rindex(b"IEND") - 4
    return image[:end] + chunk + image[end:]


def group(label: str, tint: str) -> Any:
    """A box around what is made within it."""
    return Cluster(
        label,
        graph_attr={"bgcolor": TINTS[tint], "fontname": FONT, "fontsize": "14", "margin": "18", "pencolor": "#b8c4d0"},
    )


def edge(label: str = "", color: str = GREY, style: str = "solid", **more: str) -> Edge:
    """A line with a label; `more` are attributes of Graphviz."""
    return Edge(label=label, color=color, style=style, fontname=FONT, fontsize="12", fontcolor=color, **more)


def unseen() -> Edge:
    """A line that only keeps an order."""
    return Edge(style="invis")
