"""The pictures of the README, taken anew with `pytest tests/browser/test_screenshots.py --screenshots`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

IMAGES = Path(__file__).parents[2] / "docs" / "images"
ROBOT = "?q=a+robot+that+falls+in+love"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("size", "width", "height"), [("wide", 1200, 860), ("narrow", 390, 800)])
def test_takes_pictures_where_asked(
    open_page: Open, pytestconfig: pytest.Config, scheme: str, size: str, width: int, height: int
) -> None:
    page = open_page(f"{ROBOT}&decade=1980s", width=width, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": height})
    for _ in range(4):  # the first search of a server loads the model; each of its threads opens the file
        page.reload()
    if size == "wide":
        page.locator(".semantic-why summary").first.click()
    page.evaluate("document.activeElement.blur()")
    picture = page.screenshot()
    assert picture.startswith(b"\x89PNG")
    if pytestconfig.getoption("--screenshots", default=False):
        (IMAGES / f"search-{size}-{scheme}.png").write_bytes(picture)
