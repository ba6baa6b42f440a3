"""What the fake service answers where nothing depends on the question."""

from typing import Any

NOW = "2026-11-24T05:00:00Z"
LATER = "2026-12-01T05:00:00Z"
TOKEN = "token-of-alice"
REPORT = {
    "report_version": 1,
    "format": "csv",
    "rows": 3,
    "bytes_read": 40,
    "bytes_written": 80,
    "duration_seconds": 0.5,
    "mappings": [
        {
            "column": "vendor_id",
            "dataset": "finance.vendors",
            "versions": ["v1"],
            "added": ["vendor_id.finance.name"],
            "evidence": ["its name is the key"],
            "matched": 2,
            "unmatched": 1,
            "empty": 0,
            "unmatched_distinct": 1,
            "unmatched_distinct_is_exact": True,
            "unmatched_sample": [{"key": "V-99999", "row": 4}],
        }
    ],
    "columns_added": ["vendor_id.finance.name"],
    "warnings": [],
}
PREVIEW: dict[str, Any] = {
    "columns": ["vendor_id", "amount", "vendor_id.finance.name"],
    "rows": [["V-00001", "10", "Müller GmbH"], ["V-99999", "20", None]],
    "mapping": [
        {
            "column": "vendor_id",
            "dataset": "finance.vendors",
            "evidence": ["2 of 2 values look like V-00000"],
            "matched": 1,
            "values": 2,
            "missed": [
                {
                    "key": "V-9",
                    "row": None,
                    "cause": "leading_zeros",
                    "dataset": None,
                    "proposals": [{"key": "V-00009", "score": 98, "reason": "leading zeros"}],
                }
            ],
        }
    ],
    "unmapped": ["amount"],
    "questions": [],
    "detected": {
        "format": "csv",
        "encoding": {"value": "windows-1252", "reason": "a guess"},
        "delimiter": {"value": ";", "reason": "it divides the first rows into 2 cells"},
        "quote": None,
        "header_row": {"value": 1, "reason": "the first line of the file"},
        "decimal": None,
        "converted": {"value": "xls", "reason": "The result is a new .xlsx file."},
        "sheets": [{"name": "Data", "header_row": 3, "has_keys": True, "used": True}],
        "options": ["encoding", "delimiter", "header_row"],
    },
    "recipe": None,
    "warnings": [],
}
DEPARTMENTS: dict[str, Any] = {
    "departments": [
        {
            "name": "finance",
            "display_name": "Finance",
            "available": True,
            "error": None,
            "datasets": [
                {
                    "name": "vendors",
                    "key": "vendor_id",
                    "aliases": ["vendor"],
                    "pattern": "^V-[0-9]{5}$",
                    "columns": [{"name": "name", "type": "string"}],
                    "rows": 20000,
                    "version": "v1",
                }
            ],
        },
        {"name": "legal", "display_name": "Legal", "available": False, "error": "no answer", "datasets": []},
    ]
}

RECIPE: dict[str, Any] = {
    "id": "0" * 32,
    "name": "month-end",
    "owner": "frank",
    "own": False,
    "groups": ["finance"],
    "version": 3,
    "saved_at": NOW,
    "versions": [{"version": 2, "saved_at": NOW}, {"version": 3, "saved_at": NOW}],
    "choices": {
        "departments": None,
        "mapping": {"vendor": ["finance.vendors"]},
        "columns": {"finance.vendors": ["name"]},
        "options": {"delimiter": ";", "raw": False, "sheet": None},
        "approve": ["leading_zeros"],
        "keys": {"finance.vendors": {"1": "V-00001"}},
    },
    "held_back": True,
}
