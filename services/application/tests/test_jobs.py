from collections.abc import Iterator

import pytest
from services.application.tests.support.client import Client
from services.application.tests.support.stack import Stack

INVOICES = b"invoice,vendor_id,amount\n1,V-00007,007\n2,V-99999,1.50\n3,V-00008,2\n"


@pytest.fixture(scope="module", autouse=True)
def _worker(stack: Stack) -> Iterator[None]:
    stack.start_worker()
    yield
    stack.stop_workers()


def test_a_file_goes_in_and_comes_back_enriched(alice: Client) -> None:
    file = alice.upload(INVOICES, "invoices.csv")
    job = alice.submit(file)
    done = alice.wait(job)
    assert done["status"] == "succeeded", done
    assert alice.result(job).decode().splitlines() == [
        "invoice,vendor_id,amount,vendor_id.finance.name,vendor_id.finance.country",
        "1,V-00007,007,Vendor 7,NL",
        "2,V-99999,1.50,,",
        "3,V-00008,2,Vendor 8,NL",
    ]
