"""Langflow's page with our file types and texts: `python -m frontend.look` makes it when the service is built.

These are what neither a setting of Langflow's, nor a route of ours, nor a script beside the page (`inside.js`) can do.
Langflow is pinned, and what is changed must be there: otherwise the build fails, and says what is missing.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from frontend.enrichment import FILE_TYPES
from frontend.settings import PACKAGE

LANGFLOW: Final = "1.13.0"
FOLDER: Final = Path(sys.prefix) / "share" / "file-processing-page"
"""Where the service finds the page."""


class LookChanged(Exception):
    """Langflow's page is not the one that this was written for; the message says what was not found."""


@dataclass(frozen=True, slots=True)
class Change:
    """One text in place of another, everywhere in a file."""

    old: str
    new: str


FONTS: Final = "https://fonts.g"

PAGE: Final = (
    Change("<title>Langflow</title>", "<title>File Processing</title>"),
    Change('<body id="body" class="dark"', '<body id="body"'),
    Change("</head>", '  <script src="/fileproc/assets/inside.js"></script>\n  </head>'),
    Change("</head>", '  <link rel="stylesheet" href="/fileproc/assets/inside.css">\n  </head>'),
)

SCRIPT: Final = (
    # The Playground offers and takes what the service takes, and knows it by its name: what a browser guesses of the
    # kind of a file differs from machine to machine.
    Change(
        'i5n=["csv","docx","json","pdf","txt","md","mdx","yaml","yml","xml","html","htm","tsx","py","sh","sql","js",'
        '"ts","jpg","jpeg","png","bmp"]',
        f"i5n={json.dumps(FILE_TYPES)}",
    ),
    Change("return i&&!s||i&&t.length>0&&l!==u?!1:t.length>0?a:s}", "return s}"),
    Change("accept:DGr", f"accept:{json.dumps(','.join(f'.{kind}' for kind in FILE_TYPES))}"),
    Change(
        "Attach file (images, pdf, csv, docx, txt, md, json, yaml, xml, html, code files)",
        "Attach a file (CSV, TSV, XLSX, XLS, XLSB, ODS, JSON, JSON Lines, Parquet, TXT, MD, PDF, DOCX, GZ)",
    ),
    Change(
        "Unsupported attachment type. Supported chat attachments include images, PDF, CSV, DOCX, and common text/code "
        "files.",
        "This kind of file cannot be enriched. Choose one of these:",
    ),
    # What the service says of a file that it does not take, in the place of a guess.
    Change(
        '{title:i("errors.upload"),list:[i("misc.fsErrorText"),Dbn]}',
        '{title:i("errors.upload"),list:[O?.response?.data?.detail??"The file did not arrive. Try again."]}',
    ),
    # An attachment has its name below it, before and after it is sent; without the identifier that the service gave it.
    Change(
        't?b.jsx(rp,{className:"h-4 w-4"}):p&&!d?',
        't?b.jsxs("div",{className:"flex items-center gap-3 px-4 py-6 text-xs",role:"status",'
        'children:[b.jsx(rp,{className:"h-4 w-4"}),`Sending ${g.name} …`]}):p&&!d?',
    ),
    Change('variant:"compact"},k.id)', 'variant:"named",className:"overflow-visible"},k.id)'),
    Change("children:H0o(g.name,10)", 'children:H0o(g.name.replace(/__[0-9a-f]{32}(?=\\.[^.]*$)/,""),40)'),
    Change(
        '"chat.inputPlaceholderSend":"Send a message..."',
        '"chat.inputPlaceholderSend":"Attach a file with the button below, and send it."',
    ),
    # Langflow's own login does not exist here: this would ask for it, and be refused.
    Change(
        'const E=(await or.get(`${Or("AUTOLOGIN")}`)).data;',
        "const E=await Promise.reject({response:{data:{auto_login:!1}}});",
    ),
    # A table that is wider than the chat is scrolled by keyboard too.
    Change(
        'b.jsx("div",{className:"max-h-[600px] w-full overflow-auto p-4",',
        'b.jsx("div",{tabIndex:0,role:"group","aria-label":"Table",className:"max-h-[600px] w-full overflow-auto p-4",',
    ),
    Change('"misc.chatTitle":"Langflow Chat"', '"misc.chatTitle":"File Processing"'),
)


def make_page(target: Path) -> None:
    """Write the changed page to the folder `target`, in place of what is there.

    Raises:
        LookChanged: Langflow is another one.
    """
    langflow = distribution("langflow-base")
    if langflow.version != LANGFLOW:
        raise LookChanged(f"langflow-base is {langflow.version}; the changes to its page are for {LANGFLOW}")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(str(langflow.locate_file("langflow/frontend")), target, copy_function=shutil.copyfile)
    index = target / "index.html"
    index.write_text(_changed("index.html", _without_fonts(index.read_text()), PAGE))
    script = next(file for file in target.glob("assets/index-*.js") if file.name in index.read_text())
    script.write_text(_changed(script.name, script.read_text(), SCRIPT))
    shutil.copyfile(PACKAGE / "pages" / "favicon.ico", target / "favicon.ico")


def _changed(name: str, text: str, changes: tuple[Change, ...]) -> str:
    for change in changes:
        if change.old not in text:
            raise LookChanged(f"{name} of Langflow's page has no {change.old!r}")
        text = text.replace(change.old, change.new)
    return text


def _without_fonts(page: str) -> str:
    """Without what is fetched from elsewhere: the system's own letters are read as well."""
    tags = page.split("<link")
    return "<link".join(tag if FONTS not in tag else tag.partition("/>")[2] for tag in tags).replace("<link\n", "\n")


if __name__ == "__main__":
    try:
        make_page(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
    except LookChanged as error:
        sys.exit(str(error))
