import pytest

from common.accept import media_ranges, quality


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("text/html", 1.0),
        ("TEXT/HTML;charset=utf-8", 1.0),
        ("text/html;q=0.4", 0.4),
        ("text/html; q=0", 0.0),
        ("text/*;q=0.3, text/html;q=0.7, text/html;level=1;q=0.7", 0.7),
        ("*/*, text/html;q=0", 0.0),
        ("text/*;q=0, */*", 0.0),
        ("*/*;q=0.1", 0.1),
        ("application/json", 0.0),
        ("text/html;q=nonsense", 0.0),
        ("", 0.0),
        (",,;", 0.0),
    ],
)
def test_the_most_specific_range_decides(header: str, expected: float) -> None:
    assert quality(media_ranges(header), "text/html") == expected
