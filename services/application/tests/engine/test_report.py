"""Reports: machines parse them, people read them, and nothing in a file becomes code or a terminal's command."""

from __future__ import annotations

from html.parser import HTMLParser

from services.application.tests.engine.support import enrich

from application.engine import Report, render_html, render_text


def report_of(data: bytes, name: str = "x.csv") -> Report:
    return enrich(data, name, given={"<b>k</b>": ["finance.vendors"]}).report


EVIL = b"<b>k</b>\nV-00001\n<script>alert(1)</script>\n\x1b[31mred\n\n"


def test_it_counts_and_reads_back_from_json() -> None:
    report = enrich(b'vendor_id\nV-00001\nV-00001\nV-9\n" "\n', "x.csv").report
    (mapping,) = report.mappings
    assert (report.rows, mapping.matched, mapping.unmatched, mapping.empty) == (4, 2, 1, 1)
    assert mapping.versions == ("v1",)
    assert mapping.dataset == "finance.vendors"
    assert Report.model_validate_json(report.model_dump_json()) == report
    assert report.report_version == 1


def test_it_is_text_that_a_terminal_does_not_obey() -> None:
    text = render_text(report_of(EVIL), "evil\x1b]0;x\x07.csv")
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "<b>k</b> -> finance.vendors" in text
    assert "1 (33.3 % of the keys)" in text
    assert "<script>alert(1)</script>  row 3" in text


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_is_a_page_without_anything_active() -> None:
    page = _Tags()
    page.feed(render_html(report_of(EVIL), '"><img src=x onerror=alert(1)>.csv'))
    assert page.tags <= {
        "html", "head", "meta", "title", "style", "body", "h1", "h2", "table", "tr", "th", "td", "ul", "li",
        "details", "summary",
    }  # fmt: skip
    assert "<script>alert(1)</script>" in page.text
    assert "finance.vendors" in page.text
