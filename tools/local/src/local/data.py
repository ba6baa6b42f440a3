"""The departments' data, as large and as dirty as the real thing, the same in every run.

The dirt, on purpose: keys twice and keys missing, white space around and inside values, upper and lower case mixed,
empty strings beside nulls, diacritics, quotes, commas and line breaks, names that a spreadsheet takes for formulas.
"""

import csv
import json
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

VENDORS, EMPLOYEES, CONTRACTS = 24_000, 5_000, 3_000
TODAY: Final = date(2026, 11, 1)

WORDS = ["Nordic", "Alpine", "Baltic", "Ibérica", "Prime", "Müller", "Šimek", "Ødegaard", "Łukasz", "Çelik", "Green"]
TRADES = ["Logistics", "Foods", "Systems", "Papierfabrik", "Verlag", "Chimie", "Soluções", "Energie", "Travel", "Print"]
FORMS = ["GmbH", "AG", "Ltd.", "B.V.", "S.A.", "Inc.", "s.r.o.", "Oy", "Kft."]
PLACES = [
    ("DE", "EUR", "München"),
    ("AT", "EUR", "Wien"),
    ("FR", "EUR", "Besançon"),
    ("PL", "PLN", "Łódź"),
    ("CZ", "CZK", "Plzeň"),
    ("GB", "GBP", "Leeds"),
    ("US", "USD", "St. Paul, MN"),
    ("SE", "SEK", "Göteborg"),
    ("CH", "CHF", "Zürich"),
    ("JP", "JPY", "大阪"),
]
FORMULA_NAMES = ["=Green & Co", "+49 Telefonbau", "@Home Services", "-Minus Eins KG", '=HYPERLINK("http://x","Pay")']
ODD_NAMES = [
    '"Quoted" Traders, Inc.',
    "O'Neill & Sons",
    "Line\nBreak Logistics",
    "  Spaced   Out Ltd. ",
    "ALL CAPS GMBH",
]
FIRST = [
    "Anna",
    "Björn",
    "Chloé",
    "Dmitri",
    "Elif",
    "Gábor",
    "Iñigo",
    "José",
    "Karin",
    "Łucja",
    "Priya",
    "Søren",
    "Zoë",
]
LAST = ["Álvarez", "Berg", "Çelik", "Dvořák", "Fischer", "García", "Hoàng", "Jansen", "Kowalski", "Møller", "Nguyễn"]
UNITS = ["Purchasing", "Accounting", "Sales", "IT", "Legal", "Logistics", "R&D", "People"]
RATES = {
    "EUR": ("Euro", 1.0834),
    "USD": ("US dollar", 1.0),
    "GBP": ("Pound sterling", 1.2671),
    "CHF": ("Swiss franc", 1.1302),
    "PLN": ("Polish złoty", 0.2514),
    "CZK": ("Czech koruna", 0.0431),
    "SEK": ("Swedish krona", 0.0957),
    "JPY": ("Yen", 0.00665),
}
CLAUSES = [
    "Either party may terminate this agreement with a notice of ninety (90) days.",
    "Liability is limited to the fees paid in the twelve months before the claim.",
    "The supplier shall keep all information confidential for five years after the end.",
    "Personal data are processed only on documented instructions (GDPR, article 28).",
    "This agreement renews for one year unless notice is given three months before its end.",
    'Prices are "cost plus", reviewed each January;\nan increase above 4 % needs written consent.',
]

Row = dict[str, Any]


def soil(random: Random, rows: list[Row], key: str) -> list[Row]:
    """Repeat one key in 200 with other values, leave one key in 1,000 empty, put white space around one in 100."""
    found: list[Row] = []
    for row in rows:
        chance = random.random()
        if chance < 0.001:
            found.append({**row, key: random.choice([None, "", "  "])})
        found.append({**row, key: f" {row[key]} "} if chance > 0.99 else row)
        if 0.005 < chance < 0.01:
            found.append({**row, "name" if "name" in row else "title": "(old entry)"})
    return found


def vendors(random: Random) -> list[Row]:
    """`V-00001` to `V-24000`."""
    rows = []
    for number in range(1, VENDORS + 1):
        country, currency, city = random.choice(PLACES)
        name = f"{random.choice(WORDS)} {random.choice(TRADES)} {random.choice(FORMS)}"
        if number % 40 == 7:
            name = random.choice(FORMULA_NAMES + ODD_NAMES)
        rows.append(
            {
                "vendor_id": f"V-{number:05}",
                "name": name,
                "country": country if number % 90 else country.lower(),
                "city": random.choice([city, city, city, city, f"{city} ", None]),
                "currency": currency if number % 150 else None,
                "status": random.choice(["active"] * 17 + ["blocked", "Active ", ""]),
                "payment_terms": random.choice(["NET30", "NET 30", "net60", "14 days 2%", None]),
                "bank_account": f"{country}{random.randrange(10**20):020}",
                "rating": random.choice([None, round(random.uniform(1, 5), 1)]),
                "since": TODAY - timedelta(days=random.randrange(9_000)),
            }
        )
    return soil(random, rows, "vendor_id")


def rates() -> list[Row]:
    """US dollars for one unit of each currency; one of them is not usable, as happens."""
    known: list[Row] = [
        {"currency": code, "name": name, "rate_to_usd": rate, "as_of": TODAY} for code, (name, rate) in RATES.items()
    ]
    return [*known, {"currency": "XTS", "name": "Test, not for use", "rate_to_usd": "n/a", "as_of": None}]


def employees(random: Random) -> list[Row]:
    """`E-00001` to `E-05000`; each reports to someone with a smaller number, one chain goes in a circle."""
    rows = []
    for number in range(1, EMPLOYEES + 1):
        first, last = random.choice(FIRST), random.choice(LAST)
        row = {
            "employee_id": f"E-{number:05}",
            "name": f"{first} {last}" if number % 60 else f" {last.upper()},  {first}",
            "email": f"{first}.{last}.{number}@example.com".lower() if number % 45 else "",
            "manager_id": f"E-{max(1, number // 8):05}" if number > 1 else None,
            "department": random.choice(UNITS),
            "location": random.choice([city for _, _, city in PLACES] + [None]),
            "salary_band": f"B{random.randrange(1, 9)}",
            "hired": (TODAY - timedelta(days=random.randrange(7_000))).isoformat(),
        }
        if number % 25 == 0:
            del row["location"]
        rows.append(row)
    rows[4_998]["manager_id"], rows[4_999]["manager_id"] = "E-05000", "E-04999"
    return soil(random, rows, "employee_id")


def contracts(random: Random) -> list[Row]:
    """`C-00001` to `C-03000`."""
    rows = []
    for number in range(1, CONTRACTS + 1):
        start = TODAY - timedelta(days=random.randrange(2_500))
        trade = random.choice(TRADES)
        rows.append(
            {
                "contract_id": f"C-{number:05}",
                "title": f"{random.choice(['Frame agreement', 'Lease', 'Service contract', 'NDA'])}: {trade}",
                "counterparty": random.choice(FORMULA_NAMES)
                if number % 50 == 9
                else f"{random.choice(WORDS)} {trade} {random.choice(FORMS)}",
                "start_date": start,
                "end_date": start + timedelta(days=random.randrange(300, 3_000)) if number % 30 else None,
                "status": random.choice(["in force", "In Force", "expired", "draft", ""]),
                "clauses": " ".join(random.sample(CLAUSES, 3)),
                "value": round(random.lognormvariate(10, 1.4), 2),
            }
        )
    return soil(random, rows, "contract_id")


def write(folder: Path) -> None:
    """Write every data set to `folder/<department>/<object>`."""
    for department in ("finance", "hr", "legal"):
        (folder / department).mkdir(parents=True, exist_ok=True)
    random = Random(2026)  # noqa: S311 - believable, not secret
    pq.write_table(pa.Table.from_pylist(vendors(random)), folder / "finance" / "vendors.parquet")
    with (folder / "finance" / "rates.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rates()[0]))
        writer.writeheader()
        writer.writerows(rates())
    lines = [json.dumps(row, ensure_ascii=False) for row in employees(random)]
    (folder / "hr" / "employees.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    pq.write_table(pa.Table.from_pylist(contracts(random)), folder / "legal" / "contracts.parquet")
