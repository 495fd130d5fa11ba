"""The gallery and the details of models, under a stage's path."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect

from facet.registry.models import Model
from tests.browser import site as sites
from tests.browser.actions import TIMES, choose_model, open_details, results
from tests.browser.conftest import Open, page_opener
from tests.browser.models import fill, live
from tests.browser.site import KEY, Site
from tests.support.inputs.artifacts import encoded
from tests.support.versions import VIOLATION, backbone, pending, proven, ready


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """A page with the key and one model in each state, for tests that change nothing."""
    with sites.serving() as site, page_opener(browser) as open_page:
        fill(site)
        yield open_page(f"{site.url}#key={KEY}")


@pytest.mark.parametrize("end", ["", "/"])
def test_the_page_works_under_a_stages_path_with_and_without_a_slash(
    open_page: Open, site: Site, end: str
) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url.rstrip('/')}{end}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    assert page.url == f"{site.url}?model=cifar"


def test_the_first_live_model_is_selected_and_described(page: Page) -> None:
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    described = page.locator("#model")
    expect(described).to_contain_text("83.3 % (test)")
    expect(described).to_contain_text(f"8 {TIMES} 8 pixels, in colour, stretched to fit")
    expect(described).to_contain_text("golden sample")
    expect(described).to_contain_text("in the function, else on the endpoint")
    expect(described.locator(".labels li")).to_have_text(["cat", "dog", "ship"])
    card = page.locator(".card", has_text="cifar")
    expect(card).to_contain_text("3 labels · 83.3 % (test) · 101 bytes")


@pytest.mark.parametrize(
    ("name", "badges", "text"),
    [
        ("refused", ["not live", "newest upload rejected"], VIOLATION.problem),
        ("wide", ["live", "newest upload rejected"], "The previous version stays live."),
        ("arriving", ["not live", "validating"], "is being validated"),
        ("waiting", ["not live", "waiting"], "waits for the endpoint"),
        ("waiting", ["not live", "waiting"], VIOLATION.remedy),
        ("held-back", ["not live"], "is ready but not live"),
        ("gone", ["not live"], "Upload an artifact to mme/gone.tar.gz"),
        ("tried-out", ["live", "canary 10 %"], "37 of 100 good answers, and 1 bad"),
    ],
)
def test_badges_and_notice_show_a_models_state(
    page: Page, name: str, badges: list[str], text: str
) -> None:
    choose_model(page, name)
    expect(page.locator("#model .state").first.locator(".badge")).to_have_text(badges)
    expect(page.locator("#model .notice")).to_contain_text(text)


def test_the_violations_of_a_rejected_upload_are_listed(page: Page) -> None:
    choose_model(page, "refused")
    (violation,) = page.locator("#model .notice .violations li").all()
    expect(violation).to_contain_text(f"{VIOLATION.place}: {VIOLATION.problem}.")
    expect(violation).to_contain_text(f"What to do: {VIOLATION.remedy}.")


def test_long_lists_of_labels_are_collapsed(page: Page) -> None:
    choose_model(page, "wide")
    open_details(page)
    expect(page.get_by_text("30 labels", exact=True)).to_be_visible()
    expect(page.get_by_text("class 29", exact=True)).to_be_hidden()
    page.get_by_text("6 more").click()
    expect(page.get_by_text("class 29", exact=True)).to_be_visible()


def test_all_versions_are_listed(page: Page) -> None:
    choose_model(page, "tried-out")
    open_details(page)
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


def test_models_are_listed_in_pages_of_12(many: Page) -> None:
    for count in (12, 24, 30):
        expect(many.get_by_role("radio")).to_have_count(count)
        more = many.get_by_role("button", name="More models")
        if count < 30:
            more.click()
    expect(more).to_be_hidden()


def test_search_finds_models_by_a_part_of_their_name(many: Page) -> None:
    search = many.get_by_role("searchbox", name="Search by name")
    search.fill("del-2")
    expect(many.get_by_role("radio")).to_have_count(10)
    expect(many.get_by_role("radio").first).to_have_attribute("value", "model-20")
    search.fill("17")
    expect(many.get_by_role("radio")).to_have_count(1)
    search.fill("nobody")
    expect(many.get_by_text("No model name contains “nobody”.")).to_be_visible()
    search.fill("Über")
    expect(many.get_by_text("lower-case letters, digits and dashes")).to_be_visible()
    search.fill("")
    expect(many.get_by_role("radio")).to_have_count(12)


def test_without_models_the_page_says_what_to_do_next(open_page: Open, site: Site) -> None:
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_text("No models yet.")).to_be_visible()
    expect(page.locator("#gallery-notice pre")).to_have_text(
        [
            "facet push model.tar.gz",
            "facet pack my-model.keras --out model.tar.gz",
            "facet teach NAME FOLDER",
            "facet train image-folder FOLDER --upload",
        ]
    )
    expect(page.locator("#model")).to_be_hidden()


def test_model_and_version_are_in_the_address(many: Page, site: Site) -> None:
    fill(site)
    many.goto(f"{site.url}?model=tried-out&version={ready(2).id}#key={KEY}")
    expect(many.get_by_role("radio", name="tried-out")).to_be_checked()
    picker = many.get_by_role("combobox", name="Version")
    expect(picker).to_have_value(ready(2).id)
    assert many.url == f"{site.url}?model=tried-out&version={ready(2).id}"
    picker.select_option("")
    assert many.url == f"{site.url}?model=tried-out"
    choose_model(many, "cifar")
    assert many.url == f"{site.url}?model=cifar"


def test_a_backbone_is_not_offered_for_predictions(open_page: Open, site: Site) -> None:
    site.add(Model("a-backbone", live=backbone(1).id, kind="backbone"), proven(backbone(1)))
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    expect(page.get_by_role("radio")).to_have_count(1)
    page = open_page(f"{site.url}?model=a-backbone#key={KEY}")
    expect(page.get_by_text("it has no labels to predict")).to_be_visible()
    expect(page.get_by_role("radio", name="a-backbone")).to_be_disabled()
    expect(page.locator("#model")).to_be_hidden()


def test_pages_of_backbones_are_passed_over(open_page: Open, site: Site) -> None:
    for number in range(13):
        name = f"a-{number:02}"
        site.add(Model(name, live=backbone(1).id, kind="backbone"), proven(backbone(1, name)))
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_text("No models with labels yet.")).to_be_visible()
    site.add(*live("cifar"))
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    expect(page.get_by_text("No models with labels yet.")).to_be_hidden()


def test_the_counts_of_a_canary_move(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}?model=tried-out#key={KEY}")
    expect(page.locator("#model .notice")).to_contain_text("37 of 100 good answers, and 1 bad")
    open_details(page)
    model, versions = site.models["tried-out"]
    assert model.canary is not None
    counted = replace(model, canary=replace(model.canary, candidate_good=38))
    site.models["tried-out"] = counted, versions
    expect(page.locator("#model .notice")).to_contain_text("38 of 100 good answers, and 1 bad")
    expect(page.get_by_text("All versions (2)")).to_be_visible()


def test_refresh_shows_new_models_and_keeps_the_selection(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    site.add(*live("brand-new"))
    page.get_by_role("button", name="Refresh").click()
    expect(page.get_by_role("radio")).to_have_count(2)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()


def test_the_examples_fit_the_selected_model(open_page: Open, site: Site) -> None:
    """The golden image comes first, and samples of which no label speaks are left out."""
    site.add(*live("cifar"))
    digits, version = live("digits")
    shown = pending(1, "digits", labels=["0", "1"])
    site.add(digits, replace(version, manifest=shown.manifest, proof="smoke"))
    page = open_page(f"{site.url}#key={KEY}")
    examples = page.locator("#samples button")
    expect(examples).to_have_count(2)
    expect(examples.first).to_have_accessible_name("The golden sample of cifar")
    expect(examples.last).to_have_accessible_name("A tabby cat")
    examples.first.click()
    expect(results(page).first).to_contain_text("cat")
    assert site.requests[-1][2] == encoded()
    choose_model(page, "digits")
    expect(examples).to_have_count(1)
    expect(examples).to_have_accessible_name("A hand showing one finger")
