"""The page as people use it: search, facet, filter, page, back, more like this, mode, phone, keyboard, no scripts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from .conftest import Open

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ROBOT = "?q=a+robot+that+falls+in+love"
SEARCH = "/films/movies_facets/-/hybrid-search"
ERROR = f"{SEARCH}?nosuch=1"


def total(page: Any) -> int:
    return int(page.locator("#semantic-total strong").first.inner_text().replace(",", ""))


def titles(page: Any) -> list[str]:
    return [str(each) for each in page.locator(".semantic-card h2 a").all_inner_texts()]


def settle(page: Any) -> None:
    """Wait until nothing is being fetched."""
    page.wait_for_load_state("networkidle")
    page.wait_for_selector("#semantic-live:not([aria-busy])")


@pytest.mark.parametrize("scripts", [True, False])
def test_search_facet_chip_and_back(open_page: Open, scripts: bool) -> None:
    page = open_page(java_script_enabled=scripts)
    page.get_by_role("searchbox").fill("a robot that falls in love")
    page.get_by_role("button", name="Search").click()
    page.wait_for_selector(".semantic-card")
    settle(page)
    before = titles(page)
    assert "Heartbeeps" in before
    assert page.locator("mark.word").count() > 0

    page.locator(".semantic-facet").filter(has_text="genres").get_by_role("link", name="Comedy").click()
    page.wait_for_selector(".semantic-chips")
    settle(page)
    assert "genres__arraycontains=Comedy" in page.url
    count = page.locator(".semantic-facet li.selected .semantic-count").inner_text()
    assert int(count.replace(",", "")) == total(page)

    page.get_by_role("link", name=re.compile("^Remove filter: genres")).click()
    page.wait_for_selector(".semantic-chips", state="detached")
    settle(page)
    assert titles(page) == before
    page.go_back()
    page.wait_for_selector(".semantic-chips")
    page.go_back()
    page.wait_for_selector(".semantic-chips", state="detached")
    settle(page)
    assert titles(page) == before
    assert page.get_by_role("searchbox").input_value() == "a robot that falls in love"


@pytest.mark.parametrize("scripts", [True, False])
def test_pages_forth_and_back(open_page: Open, scripts: bool) -> None:
    page = open_page(ROBOT, java_script_enabled=scripts)
    first = titles(page)
    page.get_by_role("link", name="Next page").click()
    page.wait_for_url(re.compile("_next="))
    settle(page)
    second = titles(page)
    assert not set(first) & set(second)
    assert "21–40 shown" in page.locator("#semantic-total").inner_text()
    page.get_by_role("link", name="Previous").click()
    page.wait_for_url(lambda url: "_next=" not in url)
    settle(page)
    assert titles(page) == first


@pytest.mark.parametrize("scripts", [True, False])
def test_a_filter_by_form(open_page: Open, scripts: bool) -> None:
    page = open_page(ROBOT, java_script_enabled=scripts)
    page.get_by_text("Add a filter").click()
    page.get_by_label("Column").select_option("year")
    page.get_by_label("Comparison").select_option("gte")
    page.get_by_label("Value").fill("2015")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("year__gte=2015"))
    assert "_filter" not in page.url
    assert page.get_by_role("link", name="Remove filter: year ≥ 2015").is_visible()
    years = page.evaluate(
        "[...document.querySelectorAll('.semantic-details div')]"
        ".filter((each) => each.firstElementChild.textContent === 'year')"
        ".map((each) => each.lastElementChild.textContent)"
    )
    assert len(years) == 20
    assert all(int(year) >= 2015 for year in years)


@pytest.mark.parametrize("scripts", [True, False])
def test_modes(open_page: Open, scripts: bool) -> None:
    page = open_page("?q=robots", java_script_enabled=scripts)
    page.get_by_text("Words", exact=True).click()
    if not scripts:
        page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile("mode=keyword"))
    settle(page)
    assert page.get_by_role("radio", name="Words").is_checked()
    assert page.locator(".semantic-card .word").count() >= 20


@pytest.mark.parametrize("scripts", [True, False])
def test_more_like_this(open_page: Open, scripts: bool) -> None:
    page = open_page("?q=heartbeeps", java_script_enabled=scripts)
    assert titles(page)[0] == "Heartbeeps"
    page.get_by_role("link", name="More like this").first.click()
    page.wait_for_url(re.compile("like=Heartbeeps"))
    settle(page)
    assert page.locator(".semantic-like").inner_text() == "More like Heartbeeps"
    assert "Heartbeeps" not in titles(page)
    assert page.get_by_role("searchbox").input_value() == ""
    page.go_back()
    page.wait_for_url(re.compile("q=heartbeeps"))
    settle(page)
    assert titles(page)[0] == "Heartbeeps"


def test_results_refresh_as_one_types(open_page: Open) -> None:
    page = open_page()
    entries = page.evaluate("history.length")
    page.get_by_role("searchbox").press_sequentially("submarine", delay=30)
    page.wait_for_selector(".semantic-card")
    page.wait_for_url(re.compile("q=submarine"))
    settle(page)
    page.get_by_role("searchbox").press_sequentially(" war", delay=30)
    page.wait_for_url(re.compile("q=submarine.war"))
    settle(page)
    assert "submarine" in page.title()
    assert page.evaluate("document.activeElement.id") == "semantic-q"
    assert page.evaluate("history.length") == entries + 1
    page.go_back()
    page.wait_for_selector(".semantic-empty")
    assert page.get_by_role("searchbox").input_value() == ""


def test_why_adds_up(open_page: Open) -> None:
    page = open_page(ROBOT)
    card = page.locator(".semantic-card").first
    card.locator(".semantic-why summary").click()
    adds = [float(text) for text in card.locator("tbody td:last-child").all_inner_texts()]
    score = float(card.locator("tfoot td").inner_text())
    assert abs(sum(adds) - score) < 0.0002
    assert "Number 1 by words" in card.inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_sorting(open_page: Open, scripts: bool) -> None:
    page = open_page(ROBOT, java_script_enabled=scripts)
    page.get_by_text("By relevance").click()
    page.get_by_role("link", name="year ↓").click()
    page.wait_for_url(re.compile("_sort_desc=year"))
    settle(page)
    assert page.get_by_text("By year ↓").is_visible()
    shown = page.locator(".semantic-card").first.locator(".semantic-details dd").first.inner_text()
    assert int(shown) >= 2020


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", f"{ROBOT}&decade=1980s", "?q=x&nosuch=1"])
def test_axe_finds_nothing_serious(open_page: Open, query: str, scheme: str) -> None:
    package = pytest.importorskip("axe_playwright_python", reason="NO AXE: pip install axe-playwright-python")
    page = open_page(query, color_scheme=scheme)
    # Datasette 1.0's own element keeps a list under the name of a method of every element, which stops axe.
    page.evaluate("document.querySelector('navigation-search')?.remove()")
    page.evaluate((Path(package.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run()")["violations"]
    # Datasette 0.65 does not say in which language its pages are.
    assert [each["id"] for each in found if each["id"] != "html-has-lang"] == []


def test_a_phone(open_page: Open) -> None:
    page = open_page(ROBOT, width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not page.locator(".semantic-facet").first.is_visible()
    page.locator(".semantic-panel > summary").click()
    assert page.locator(".semantic-facet").first.is_visible()
    page.locator(".semantic-facet").get_by_role("link", name="Comedy").click()
    page.wait_for_url(re.compile("Comedy"))
    settle(page)
    assert page.locator(".semantic-facet").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_wide_screen_shows_facets_at_once(open_page: Open) -> None:
    page = open_page(ROBOT)
    assert page.locator(".semantic-facet").first.is_visible()
    assert not page.locator(".semantic-panel > summary").is_visible()


def test_keyboard_only(open_page: Open) -> None:
    page = open_page()
    assert page.evaluate("document.activeElement.id") == "semantic-q"
    page.keyboard.type("haunted house")
    page.keyboard.press("Enter")
    page.wait_for_selector(".semantic-card")
    settle(page)
    page.keyboard.press("Tab")  # the button
    page.keyboard.press("Tab")  # the modes
    assert page.evaluate("document.activeElement.name") == "mode"
    page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("mode=semantic"))
    settle(page)
    assert page.evaluate("document.activeElement.value") == "semantic"
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.key || ''").startswith("value-"):
            break
    key = page.evaluate("document.activeElement.dataset.key")
    page.keyboard.press("Enter")
    page.wait_for_selector(".semantic-chips")
    settle(page)
    assert page.evaluate("document.activeElement.dataset.key") == key


def test_screen_readers_find_their_way(open_page: Open) -> None:
    page = open_page(ROBOT)
    assert page.get_by_role("search").count() == 1
    assert page.get_by_role("complementary", name="Narrow the results").count() == 1
    assert page.get_by_role("region", name="Results", exact=True).count() == 1
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("article").count() == 20
    assert page.get_by_role("article", name="Heartbeeps").count() == 1
    assert "1–20 shown" in page.locator("#semantic-total[aria-live=polite]").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(open_page: Open, scheme: str) -> None:
    """WCAG asks 4.5 to 1 of text against what is behind it."""
    page = open_page(ROBOT, color_scheme=scheme)
    page.locator(".semantic-why summary").first.click()
    for selector in (
        "h1",
        ".semantic-card h2 a",
        ".semantic-passage",
        "mark.word",
        ".semantic-details dt",
        ".semantic-count",
        ".semantic-quiet",
        ".semantic-why td",
        ".semantic-foot a",
        "input[type=submit]",
        "#semantic-q",
        ".semantic-modes input:checked + label",
    ):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, (selector, scheme)


CONTRAST = """(element) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const light = ([r, g, b]) => [r, g, b]
    .map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_datasettes_own_head_is_as_it_is_elsewhere(open_page: Open, scheme: str) -> None:
    color = "getComputedStyle(document.querySelector('header summary')).color"
    colors = {open_page(path=path, color_scheme=scheme).evaluate(color) for path in ("/films", SEARCH, ERROR)}
    assert len(colors) == 1


def test_the_home_page_searches_everything(open_page: Open) -> None:
    page = open_page(path="/", width=360)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("searchbox", name="Search everything").fill("robot")
    page.keyboard.press("Enter")
    page.wait_for_selector(".semantic-card")
    assert "/-/hybrid-search?q=robot" in page.url


def test_search_everything(open_page: Open) -> None:
    page = open_page("?q=robot", path="/-/hybrid-search")
    assert page.locator(".semantic-card").count() == 20
    assert page.locator(".semantic-place").first.inner_text() == "in films/movies_facets"
    page.get_by_role("link", name="films/movies_facets", exact=False).first.click()
    page.wait_for_url(re.compile("table="))
