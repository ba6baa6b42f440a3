"""A CSV of 200 MB on the first page: none of it stays in the memory of the page's process."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect
from tests.frontend.gate import HELD
from tests.frontend.person import People, Person
from tests.frontend.site import Site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

LARGE_BYTES = 200_000_000
MOST_GROWTH_BYTES = 60_000_000
"""Less than a third of the file: pieces on their way, and what Langflow needs for the conversation itself."""
AT_WORK_SECONDS = 300
TEXT = "text that is in the file and has to come back as it is"
SLOW_BYTES = 4_000_000
"""In a second."""


class Memory:
    """Resident memory of each of the page's processes, from now on."""

    def __init__(self, site: Site) -> None:
        self._before = {pid: int(psutil.Process(pid).memory_info().rss) for pid in map(site.pid, site.pages)}
        for pid in self._before:
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew

    @property
    def before(self) -> int:
        """Bytes, of the largest."""
        return max(self._before.values())

    def growth(self) -> int:
        """The most bytes by which any of them was larger since."""
        return max(self._peak(pid) - before for pid, before in self._before.items())

    @staticmethod
    def _peak(pid: int) -> int:
        found = re.search(r"VmHWM:\s+([0-9]+) kB", Path(f"/proc/{pid}/status").read_text())
        assert found
        return int(found[1]) * 1024


@contextmanager
def slow_sending(page: Page) -> Iterator[None]:
    """What the browser sends takes long, so that one sees it being sent."""
    browser = page.context.new_cdp_session(page)
    conditions = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SLOW_BYTES}
    browser.send("Network.enable")
    browser.send("Network.emulateNetworkConditions", conditions)
    try:
        yield
    finally:
        browser.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": -1})
        browser.detach()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of 1 kB, each of them to be looked up: what counts here are the bytes."""
    file = tmp_path_factory.mktemp("large") / "large.csv"
    line = "V-{:05d},2026-01-01,{:08d}," + "." * 900 + TEXT + "\n"
    with file.open("w") as target:
        target.write("vendor_id,date,number,text\n")
        number = 0
        while target.tell() < LARGE_BYTES:
            target.writelines(line.format(1 + row % 5000, row) for row in range(number, number + 20_000))
            if number == 0:
                target.write(f"{HELD},2026-01-01,,\n")
            number += 20_000
    return file


def came_back_whole(person: Person, name: str) -> None:
    """The result is there, and larger than what was given; two of its pieces are read, not all of it."""
    link = person.page.get_by_role("link", name=f"Download {name}").first.get_attribute("href")
    url = f"{person.url}{link}"
    first = person.page.request.get(url, headers={"range": "bytes=0-199"})
    assert first.status == 206
    assert first.text().startswith("vendor_id,date,number,text,vendor_id.finance.name,")
    size = int(first.headers["content-range"].rpartition("/")[2])
    assert size > LARGE_BYTES
    last = person.page.request.get(url, headers={"range": f"bytes={size - 300}-{size - 1}"})
    assert last.text().endswith("\n")
    assert f"{TEXT}," in last.text(), "columns were added behind it"
    assert f"{TEXT},V" not in last.text()


def test_200_mb_on_the_first_page_go_straight_to_storage_and_show_how_far_they_are(
    people: People, site: Site, large: Path
) -> None:
    person, memory = people("alice"), Memory(site)
    puts = person.requests("PUT", "partNumber=")
    with site.gate.shut():
        with slow_sending(person.page):
            person.choose(large)
            expect(person.page.get_by_text(re.compile("Sending large.csv: [1-9][0-9]? %"))).to_be_visible()
            person.look("sending 200 MB")
        expect(person.page.get_by_text(re.compile("Enriching large.csv: [1-9][0-9,]+ rows so far"))).to_be_visible(
            timeout=AT_WORK_SECONDS * 1000
        )
    expect(person.page.get_by_role("heading", name="large.csv is ready")).to_be_visible(timeout=AT_WORK_SECONDS * 1000)
    assert len(puts) > 2
    assert not any(url.startswith(person.url) for url in puts)
    assert memory.growth() < MOST_GROWTH_BYTES
    came_back_whole(person, "large.enriched.csv")
    person.look("200 MB ready")


def test_start_time_and_memory_of_a_replica_are_printed(site: Site, report_figure: Callable[[str], None]) -> None:
    report_figure(
        f"the page is ready after {site.seconds['frontend']:.0f} s, everything after "
        f"{site.seconds['everything']:.0f} s (one replica on SQLite, its tables made anew)"
    )
    resident = psutil.Process(site.pid("frontend")).memory_info().rss
    report_figure(f"memory of a replica of the page after these tests: {resident / 1e6:.0f} MB resident")
    assert resident < 2 << 30, "the limit of its pod"
