"""axe's rules for accessibility, on every page, in both colour schemes."""

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import actions
from tests.browser.conftest import Open
from tests.browser.data_sets import taught_with_report
from tests.browser.models import fill, live
from tests.browser.site import KEY, Site
from tests.browser.test_why import explanation

AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
"""Where .ci/run installs axe-core."""

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: .ci/run does")

VIOLATED = """async () => (await axe.run()).violations.flatMap(({ id, help, nodes }) =>
  nodes.map(({ target, failureSummary }) => ({ id, help, target, failureSummary })))"""


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds: rule, its sentence, the element, and how to fix it."""
    page.wait_for_function("() => document.getAnimations().length === 0")
    page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = page.evaluate(VIOLATED)
    return found


def show(found: list[dict[str, Any]]) -> str:
    """As text for a failure."""
    return json.dumps(found, indent=1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_passes(open_page: Open, site: Site, scheme: str) -> None:
    page = open_page(f"{site.url}docs", color_scheme=scheme)
    for summary in ("Classify images", "Delete a model", "Check the API's health"):
        operation = page.locator(".opblock").filter(has_text=summary).first
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").last.click()
    expect(page.locator(".live-responses-table").first).to_be_visible()
    page.get_by_role("button", name="Schemas").click()
    page.get_by_role("button", name="Expand all").first.click()
    found = violations(page)
    assert not found, show(found)
    page.get_by_role("button", name="Authorize").first.click()
    for button in ("Apply credentials", "Remove authorization"):
        dialog = page.locator(".auth-container")
        expect(dialog.get_by_role("button", name=button)).to_be_visible()
        found = violations(page)
        assert not found, show(found)
        if dialog.locator("input").count():
            dialog.locator("input").fill(KEY)
            dialog.get_by_role("button", name=button).click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_passes(open_page: Open, site: Site, scheme: str) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}", color_scheme=scheme)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    actions.use_sample(page, "tabby cat")
    assert actions.labels(actions.results(page).first)
    image = {"mimeType": "text/plain", "buffer": b"no image"}
    actions.choose_file(page, *({"name": name} | image for name in ("a.txt", "b.txt")))
    actions.choose_model(page, "refused")
    actions.open_details(page)
    found = violations(page)
    assert not found, show(found)
    page.get_by_role("button", name="Delete refused …").click()
    expect(page.get_by_label("Type the model's name to confirm")).to_be_visible()
    found = violations(page)
    assert not found, show(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_teaching_passes(open_page: Open, site: Site, scheme: str) -> None:
    taught_with_report(site)
    page = open_page(f"{site.url}?teach=pets#key={KEY}", color_scheme=scheme)
    expect(page.locator(".mistakes li")).to_have_count(1)
    page.get_by_text("All labels (2)").click()
    page.get_by_text("Images not used (2)").click()
    page.get_by_text("Options").click()
    page.get_by_label("Choose images for cat").set_input_files(
        {"name": "a.txt", "mimeType": "text/plain", "buffer": b"no image"}
    )
    expect(page.get_by_role("alert").filter(has_text="a.txt")).to_be_visible()
    page.get_by_role("button", name="Add label").click()
    page.get_by_role("button", name="Teach", exact=True).click()
    expect(page.get_by_text("Give the label a name and images")).to_be_visible()
    found = violations(page)
    assert not found, show(found)
    page.get_by_role("button", name="Use the camera for cat").click()
    expect(page.get_by_role("dialog", name="Pictures of cat")).to_be_visible()
    found = violations(page)
    assert not found, show(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_heat_map_passes(open_page: Open, site: Site, scheme: str) -> None:
    site.add(*live("cats"))
    site.explains["cats"] = explanation()
    page = open_page(f"{site.url}#key={KEY}", color_scheme=scheme)
    actions.choose_model(page, "cats")
    actions.use_sample(page, "tabby cat")
    page.get_by_role("button", name="Why cat?").click()
    expect(page.get_by_role("img", name="Heat map over")).to_be_visible()
    found = violations(page)
    assert not found, show(found)
