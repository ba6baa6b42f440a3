"""Finance's own tools: amounts converted by the rates data set, and what can be checked of an invoice."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from pydantic import Field

from mcp_server.definitions import BOOLEAN, STRING, Arguments, Call, Definition, array, parse, record, tool
from mcp_server.department import View
from mcp_server.errors import ToolError
from mcp_server.refresh import DatasetState
from mcp_server.toolsets.generic import Loaded, loaded

CENT = Decimal("0.01")
RATE = "rate_to_usd"


class Convert(Arguments):
    """Arguments of a conversion."""

    amount: Decimal = Field(description="How much, in the first currency.", max_digits=20)
    from_currency: str = Field(pattern="^[A-Za-z]{3}$", description="ISO 4217 code, such as EUR.")
    to_currency: str = Field(pattern="^[A-Za-z]{3}$", description="ISO 4217 code, such as USD.")


class Invoice(Arguments):
    """Arguments of an invoice's check."""

    vendor_id: str = Field(max_length=256, description="The vendor who sent it.")
    amount: Decimal = Field(description="Its total.", max_digits=20)
    currency: str = Field(pattern="^[A-Za-z]{3}$", description="ISO 4217 code of the total.")


CONVERSION = record(amount=STRING, from_currency=STRING, to_currency=STRING, converted=STRING, rates_version=STRING)
CHECKS = record(vendor_id=STRING, ok=BOOLEAN, checks=array(record(check=STRING, ok=BOOLEAN, expected=STRING)))


class FinanceTools:
    """Offered where the data sets that they need are there."""

    def definitions(self, view: View, states: Mapping[str, DatasetState]) -> list[Definition]:
        """Conversion needs `rates`, an invoice's check needs `vendors`."""
        prefix = view.department.tool_prefix
        found = []
        if "rates" in states and not view.hides(states["rates"].spec, RATE):
            text = "Converts an amount between two currencies by the rates data set, rounded to cents (half up)."
            found.append(Definition(tool(f"{prefix}convert_amount", text, Convert, CONVERSION), convert))
        if "vendors" in states:
            text = "Checks an invoice against its vendor's record: known, active, and in the agreed currency."
            found.append(Definition(tool(f"{prefix}check_invoice", text, Invoice, CHECKS), check_invoice))
        return found


async def convert(call: Call) -> dict[str, Any]:
    """Convert by way of US dollars, as the rates are given."""
    arguments = parse(Convert, call.arguments)
    source, target = arguments.from_currency.upper(), arguments.to_currency.upper()
    rates = loaded(call, "rates")
    try:
        converted = (arguments.amount * rate(rates, source) / rate(rates, target)).quantize(CENT, ROUND_HALF_UP)
    except ArithmeticError as error:
        raise ToolError(f"the amount in {target} has too many digits to be exact to the cent") from error
    return {
        "amount": str(arguments.amount),
        "from_currency": source,
        "to_currency": target,
        "converted": str(converted),
        "rates_version": rates.table.version,
    }


def rate(rates: Loaded, currency: str) -> Decimal:
    """US dollars for one unit of `currency`."""
    row = rates.table.row(currency, rates.only([RATE]))
    if row is None:
        raise ToolError(f"there is no rate for {currency}; there are rates for {', '.join(sorted(rates.table.keys))}")
    try:
        value = Decimal(str(row.get(RATE)))
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise ToolError(f"the rate of {currency} is not usable at the moment")
    return value


async def check_invoice(call: Call) -> dict[str, Any]:
    """What holds of an invoice, each check by itself; a column that is kept from the caller is not checked."""
    arguments = parse(Invoice, call.arguments)
    vendors = loaded(call, "vendors")
    vendor = vendors.table.row(arguments.vendor_id, vendors.visible)
    currency = arguments.currency.upper()
    checks = [
        _check("vendor_known", vendor is not None, f"vendor {arguments.vendor_id} in the vendors data set"),
        _check("amount_positive", arguments.amount > 0, "an amount above zero"),
    ]
    if vendor is not None and "status" in vendor:
        active = str(vendor["status"]).strip().casefold() == "active"
        checks.append(_check("vendor_active", active, "a vendor whose status is active"))
    if vendor is not None and (agreed := str(vendor.get("currency") or "").strip().upper()):
        checks.append(_check("currency_agreed", agreed == currency, f"an invoice in {agreed}"))
    return {"vendor_id": arguments.vendor_id, "ok": all(check["ok"] for check in checks), "checks": checks}


def _check(name: str, ok: bool, expected: str) -> dict[str, Any]:  # noqa: FBT001 - a check's outcome is its value
    return {"check": name, "ok": ok, "expected": expected}
