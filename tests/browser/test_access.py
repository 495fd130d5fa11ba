"""Accessibility: keyboard, screen reader, phone, dark mode, zoom, reduced motion."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
from playwright.sync_api import Browser, FileChooser, Locator, Page, expect

from facet import errors
from tests.browser import actions
from tests.browser import site as sites
from tests.browser.actions import choose_model, labels, results, use_sample
from tests.browser.conftest import Open, page_opener
from tests.browser.data_sets import taught_with_report
from tests.browser.models import fill
from tests.browser.site import KEY, Site, problem
from tests.support.inputs.artifacts import encoded
from tests.support.versions import VIOLATION

FOCUSED = """() => {
  const it = document.activeElement;
  const label = it.closest("label");
  const drawn = label ?? it;
  const named = document.getElementById(it.getAttribute("aria-labelledby"));
  const box = drawn.getBoundingClientRect();
  return {
    name: it.ariaLabel || named?.innerText || drawn.innerText.trim() || it.firstChild?.alt,
    outlined: [it, drawn].some(each => getComputedStyle(each).outlineStyle !== "none"),
    seen: box.width > 1 && box.bottom > 0 && box.top < innerHeight,
    nowhere: it === document.body,
  };
}"""
"""The focused element, and whether its focus is visible."""

CONTRASTS = """() => {
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(each => each / 255)
    .map(each => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = it => {
    for (; it; it = it.parentElement) {
      const colour = numbers(getComputedStyle(it).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => {
    const [low, high] = [light(one), light(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const found = [];
  for (const it of document.querySelectorAll("body *")) {
    const texts = [...it.childNodes].some(each => each.nodeType === 3 && each.data.trim());
    if (!texts || !it.checkVisibility() || it.closest(".visually-hidden, .skip")) continue;
    const ink = numbers(getComputedStyle(it).color);
    const behind = [ground(it)];
    const bar = it.parentElement.querySelector(":scope > i");
    if (bar) behind.push(numbers(getComputedStyle(bar).backgroundColor));
    for (const each of behind) found.push([it.textContent.trim().slice(0, 40), ratio(ink, each)]);
  }
  return found;
}"""
"""For each visible text: its beginning, and the contrast with its background (WCAG 2.2)."""

TOO_SMALL = """() => [...document.querySelectorAll(
    'button, select, .card, label.button, summary, input:not([type=file], [type=radio])')]
  .filter(each => each.checkVisibility())
  .map(each => [each.innerText || each.ariaLabel, each.getBoundingClientRect()])
  .filter(([, { width, height }]) => width < 24 || height < 24).map(([text]) => text)"""
"""Touch targets of less than 24 pixels each way (WCAG 2.2, 2.5.8)."""

MIN_CONTRAST = 4.5
"""WCAG's level AA for text of any size."""


@pytest.fixture(scope="module")
def full(browser: Browser) -> Iterator[Page]:
    """A phone with everything the page can show: a result, a failure, a countdown, violations."""
    with sites.serving() as site, page_opener(browser) as open_page:
        fill(site)
        page = open_page(f"{site.url}#key={KEY}", viewport={"width": 360, "height": 740})
        show_everything(page, site)
        yield page


def show_everything(page: Page, site: Site) -> None:
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    site.replies.append(problem(errors.NoLiveVersion("refused", [VIOLATION])))
    use_sample(page, "golden sample")
    expect(page.locator("#results .notice.bad")).to_be_visible()
    loading = problem(errors.ModelLoading("It is being loaded, wait."))
    site.replies.append(replace(loading, headers=loading.headers | {"Retry-After": "3600"}))
    use_sample(page, "golden sample")
    expect(page.locator("#results .notice.warn")).to_be_visible()
    choose_model(page, "wide")


@contextmanager
def key_dialog(page: Page) -> Iterator[Locator]:
    """The open dialog for the key."""
    page.get_by_role("button", name="API key").click()
    yield page.get_by_role("dialog")
    page.keyboard.press("Escape")


def tab_to(page: Page, name: str, *, backwards: bool = False) -> None:
    """Presses Tab until the element is focused; every focus on the way must be visible."""
    for _ in range(60):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        focused = page.evaluate(FOCUSED)
        if focused["nowhere"]:
            continue
        assert focused["seen"], focused
        assert focused["outlined"], focused
        if re.search(name, focused["name"]):
            return
    pytest.fail(f"the keyboard does not reach {name}")


def test_the_page_works_with_the_keyboard_alone(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(site.url)
    choosers: list[FileChooser] = []
    page.on(
        "filechooser", lambda each: choosers.append(each)
    )  # before the click, or Chromium opens its own
    page.keyboard.type(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    tab_to(page, "^cifar")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("heading", name="gone", exact=True)).to_be_visible()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("heading", name="cifar", exact=True)).to_be_visible()
    tab_to(page, "Choose images")
    page.keyboard.press("Enter")
    if not choosers:
        page.wait_for_event("filechooser")
    assert choosers[0].is_multiple()
    tab_to(page, "tabby cat")
    page.keyboard.press("Enter")
    assert labels(results(page).first)
    tab_to(page, "Classify again")
    page.keyboard.press("Space")
    expect(results(page).first.locator(".warmth")).to_contain_text("Warm: ")
    tab_to(page, "Request with curl")
    page.keyboard.press("Enter")
    tab_to(page, "Copy the curl command")
    tab_to(page, "Remove", backwards=True)
    page.keyboard.press("Enter")
    expect(page.get_by_text("No results yet.")).to_be_visible()


def test_escape_closes_the_dialog_which_keeps_the_focus(open_page: Open, site: Site) -> None:
    page = open_page(site.url)
    dialog = page.get_by_role("dialog", name="Enter your API key")
    for _ in range(4):
        page.keyboard.press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body"
            " || document.activeElement.closest('dialog') !== null"
        )
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("alert")).to_contain_text("API key required")


def test_the_skip_link_leads_to_the_images(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url.rstrip('/')}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    page.get_by_role("link", name="Skip to images").focus()
    page.keyboard.press("Enter")
    tab_to(page, "Choose images")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()  # the page was not left


def test_every_element_has_an_accessible_name(full: Page) -> None:
    choose_model(full, "tried-out")
    tree = full.locator("body").aria_snapshot()
    roles = "button|link|textbox|searchbox|combobox|radio|checkbox|img|figure|dialog|region"
    found = re.findall(rf"^ *- '?({roles})\b(.*)$", tree, re.MULTILINE)
    assert {role for role, _ in found} >= {"button", "radio", "img", "combobox", "region"}
    nameless = [role + rest for role, rest in found if not re.match(r' "[^"]+"', rest)]
    assert nameless == []
    assert full.evaluate("[...document.images].every(image => image.hasAttribute('alt'))")
    assert full.evaluate("document.documentElement.lang") == "en"


def test_headings_skip_no_level_and_ids_are_unique(full: Page) -> None:
    levels = full.evaluate(
        "[...document.querySelectorAll('h1,h2,h3,h4')].filter(each => each.checkVisibility())"
        ".map(each => Number(each.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = full.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


def test_events_are_announced_to_screen_readers(full: Page) -> None:
    log = full.get_by_role("log", name="Announcements")
    expect(log).to_have_attribute("aria-live", "polite")
    expect(log).to_contain_text("cat-chelsea.jpg: cifar predicts cat, 93.0 %")
    expect(log).to_contain_text("golden-cifar: No live version.")
    expect(log).to_contain_text("The model is loading. Retrying in 3600 seconds.")


def test_a_phone_scrolls_only_vertically(full: Page) -> None:
    choose_model(full, "wide")
    actions.open_details(full)
    assert full.evaluate("document.documentElement.scrollWidth") == 360
    full.get_by_text("All versions").click()
    full.get_by_text("6 more").click()
    assert full.evaluate("document.documentElement.scrollWidth") == 360
    with key_dialog(full) as dialog:
        assert full.evaluate("document.documentElement.scrollWidth") == 360
        box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


def test_touch_targets_are_large_enough(full: Page) -> None:
    assert full.evaluate(TOO_SMALL) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(full: Page, scheme: str) -> None:
    full.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    full.wait_for_function("() => document.getAnimations().length === 0")
    ground = full.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = sum(map(int, re.findall(r"\d+", ground))) < 3 * 128
    assert dark == (scheme == "dark")
    contrasts = full.evaluate(CONTRASTS)
    with key_dialog(full):
        contrasts += full.evaluate(CONTRASTS)
    assert len(contrasts) > 60
    assert [each for each in contrasts if each[1] < MIN_CONTRAST] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_teaching_fits_a_phone(open_page: Open, site: Site, scheme: str) -> None:
    taught_with_report(site)
    page = open_page(
        f"{site.url}?teach=pets#key={KEY}",
        viewport={"width": 360, "height": 740},
        color_scheme=scheme,
    )
    expect(page.locator(".mistakes li")).to_have_count(1)
    page.get_by_role("button", name="Add label").click()
    page.get_by_role("button", name="Teach", exact=True).click()
    for summary in ("Options", "All labels", "Images not used", "Calibration"):
        page.locator("#teach-view summary").filter(has_text=summary).click()
    page.get_by_role("button", name="Remove label dog").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    assert page.evaluate(TOO_SMALL) == []
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 40
    assert [each for each in contrasts if each[1] < MIN_CONTRAST] == []
    tree = page.locator("body").aria_snapshot()
    assert not re.search(r"^ *- (button|textbox|img|spinbutton|progressbar)$", tree, re.MULTILINE)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(each => each.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_the_answer_is_visible_without_scrolling(
    open_page: Open, site: Site, width: int, height: int
) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}", viewport={"width": width, "height": height})
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    use_sample(page, "tabby cat")
    bars = results(page).first.locator(".predictions li")
    expect(bars).to_have_count(3)
    for bar in bars.all():
        expect(bar).to_be_in_viewport(ratio=1)
    assert page.evaluate("scrollY") == 0


def test_bars_are_visible_in_forced_colours(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}", forced_colors="active", reduced_motion="reduce")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    use_sample(page, "tabby cat")
    bar = results(page).first.locator(".predictions li").first.locator("i")
    colours = "each => [each, each.parentElement].map(it => getComputedStyle(it).backgroundColor)"
    drawn, behind = bar.evaluate(colours)
    assert drawn != behind
    box = bar.bounding_box()
    assert box is not None
    assert (box["width"] > 50, box["height"] > 2) == (True, True)


def test_reduced_motion_disables_animations(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}", reduced_motion="reduce")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    assert page.evaluate("document.getAnimations().length") == 0


def test_the_page_works_at_twice_the_text_size(open_page: Open, site: Site) -> None:
    """WCAG 2.2, 1.4.4: a browser's zoom of 200 % is a window of half the width."""
    fill(site)
    page = open_page(f"{site.url}#key={KEY}", viewport={"width": 640, "height": 400})
    show_everything(page, site)
    assert page.evaluate("document.documentElement.scrollWidth") == 640
    image = {"name": "a.png", "mimeType": "image/png", "buffer": encoded()}
    actions.choose_file(page, image)
    expect(results(page).first.locator(".predictions")).to_be_in_viewport()
