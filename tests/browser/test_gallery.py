"""The gallery and what it says of models, against an API under a stage's path."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import site as sites
from tests.browser.acting import TIMES, choose_model
from tests.browser.conftest import Open, opening
from tests.browser.models import fill, live
from tests.browser.site import KEY, Site
from tests.support.versions import VIOLATION, ready


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page that knows the key, and one model of each kind; for tests that only look."""
    with sites.serving() as site, opening(browser) as open_page:
        fill(site)
        yield open_page(f"{site.url}#key={KEY}")


@pytest.mark.parametrize("end", ["", "/"])
def test_the_stages_path_is_found_with_and_without_a_slash(
    open_page: Open, site: Site, end: str
) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url.rstrip('/')}{end}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    assert page.url == site.url


def test_the_first_live_model_is_chosen_and_described(page: Page) -> None:
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    described = page.locator("#model")
    expect(described).to_contain_text("83.3 % (test)")
    expect(described).to_contain_text(f"8 {TIMES} 8 pixels, in colour, stretched to fit")
    expect(described).to_contain_text("golden sample")
    expect(described.locator(".labels li")).to_have_text(["cat", "dog", "ship"])
    card = page.locator(".card", has_text="cifar")
    expect(card).to_contain_text("3 labels · 83.3 % (test) · 101 bytes")


@pytest.mark.parametrize(
    ("name", "badges", "said"),
    [
        ("refused", ["not live", "newest upload rejected"], VIOLATION.problem),
        ("wide", ["live", "newest upload rejected"], "The previous version stays live."),
        ("arriving", ["not live", "validating"], "is being validated"),
        ("held-back", ["not live"], "is ready but not live"),
        ("gone", ["not live"], "Upload an artifact to mme/gone.tar.gz"),
        ("tried-out", ["live", "canary 10 %"], "37 of 100 good answers, and 1 bad"),
    ],
)
def test_how_a_model_stands(page: Page, name: str, badges: list[str], said: str) -> None:
    choose_model(page, name)
    expect(page.locator("#model .state").first.locator(".badge")).to_have_text(badges)
    expect(page.locator("#model .notice")).to_contain_text(said)


def test_a_rejected_uploads_violations_in_plain_words(page: Page) -> None:
    choose_model(page, "refused")
    (violation,) = page.locator("#model .notice .violations li").all()
    expect(violation).to_contain_text(f"{VIOLATION.place}: {VIOLATION.problem}.")
    expect(violation).to_contain_text(f"What to do: {VIOLATION.remedy}.")


def test_many_labels_are_folded(page: Page) -> None:
    choose_model(page, "wide")
    expect(page.get_by_text("30 labels", exact=True)).to_be_visible()
    expect(page.get_by_text("class 29", exact=True)).to_be_hidden()
    page.get_by_text("6 more").click()
    expect(page.get_by_text("class 29", exact=True)).to_be_visible()


def test_all_versions_are_listed(page: Page) -> None:
    choose_model(page, "tried-out")
    page.get_by_text("All versions (2)").click()
    listed = page.locator("#model .versions li")
    expect(listed.first).to_contain_text(re.compile(f"{ready(2).id}.*READY.*canary"))
    expect(listed.last).to_contain_text(re.compile(f"{ready(1).id}.*READY.*live"))


@pytest.fixture
def many(open_page: Open, site: Site) -> Page:
    """Thirty models."""
    for number in range(30):
        site.add(*live(f"model-{number:02}"))
    return open_page(f"{site.url}#key={KEY}")


def test_models_come_in_pages(many: Page) -> None:
    for count in (12, 24, 30):
        expect(many.get_by_role("radio")).to_have_count(count)
        more = many.get_by_role("button", name="More models")
        if count < 30:
            more.click()
    expect(more).to_be_hidden()


def test_models_are_found_by_the_beginning_of_their_name(many: Page) -> None:
    search = many.get_by_role("searchbox", name="Search by name")
    search.fill("model-2")
    expect(many.get_by_role("radio")).to_have_count(10)
    expect(many.get_by_role("radio").first).to_have_attribute("value", "model-20")
    search.fill("model-17")
    expect(many.get_by_role("radio")).to_have_count(1)
    search.fill("nobody")
    expect(many.get_by_text("No model name begins with “nobody”.")).to_be_visible()
    search.fill("Über")
    expect(many.get_by_text("lower-case letters, digits and dashes")).to_be_visible()
    search.fill("")
    expect(many.get_by_role("radio")).to_have_count(12)


def test_the_list_is_read_from_right_before_what_was_typed(page: Page) -> None:
    before = {
        "0": None,
        "b": "a" + "z" * 62,
        "cif": "cie" + "z" * 60,
        "a0": "a-" + "z" * 61,
        "a-": "a",
        "a--": "a-",
    }
    found = page.evaluate(
        "async prefixes => {"
        " const { justBefore } = await import(new URL('page/gallery.js', document.baseURI).href);"
        " return prefixes.map(justBefore); }",
        list(before),
    )
    assert dict(zip(before, found, strict=True)) == before


def test_without_models_the_page_says_how_to_make_one(open_page: Open, site: Site) -> None:
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_text("No models yet. Upload an artifact")).to_be_visible()
    expect(page.locator("#model")).to_be_hidden()


def test_refresh_shows_what_is_new_and_keeps_what_is_chosen(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    site.add(*live("brand-new"))
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("radio")).to_have_count(2)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
