"""The API reference: its operations, and the requests it sends."""

import json
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from page.files import STATIC
from tests.browser import actions
from tests.browser.conftest import Open
from tests.browser.models import fill
from tests.browser.site import KEY, Site
from tests.support.inputs import artifacts

DOCUMENT: dict[str, Any] = json.loads((STATIC / "openapi.json").read_text())
OPERATIONS = [
    (method.upper(), path, operation["summary"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
]


def opened(page: Page, summary: str) -> Locator:
    """Opens an operation's form."""
    operation = page.locator(".opblock").filter(has_text=summary).first
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    return operation


def execute(operation: Locator) -> Locator:
    """Executes the operation, and returns the response."""
    operation.get_by_role("button", name="Execute").click()
    return operation.locator(".live-responses-table .response").first


@pytest.fixture
def docs(site: Site, open_page: Open) -> Page:
    return open_page(f"{site.url}docs")


def test_every_operation_is_listed(docs: Page) -> None:
    shown = docs.locator(".opblock-summary")
    expect(shown).to_have_count(len(OPERATIONS))
    found = {
        (
            each.locator(".opblock-summary-method").inner_text(),
            each.locator(".opblock-summary-path").inner_text().replace("\u200b", ""),
            each.locator(".opblock-summary-description").inner_text(),
        )
        for each in shown.all()
    }
    assert found == set(OPERATIONS)


def test_health_can_be_executed_without_a_key(docs: Page, site: Site) -> None:
    shown = execute(opened(docs, "Check the API's health"))
    expect(shown.locator(".response-col_status")).to_contain_text("200")
    expect(shown).to_contain_text('"status": "ok"')
    expect(docs.locator(".request-url pre").first).to_have_text(f"{site.url}health")


def test_an_image_can_be_sent_with_the_entered_key(docs: Page, site: Site) -> None:
    fill(site)
    docs.get_by_role("button", name="Authorize").first.click()
    docs.get_by_label("auth-api-key").or_(docs.locator(".auth-container input")).first.fill(KEY)
    docs.locator(".auth-container").get_by_role("button", name="Apply credentials").click()
    docs.get_by_role("button", name="Close").last.click()
    operation = opened(docs, "Classify images")
    operation.get_by_placeholder("model").fill("cifar")
    image = artifacts.encoded(kind="JPEG")
    operation.locator("input[type=file]").set_input_files(
        {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": image}
    )
    expect(execute(operation)).to_contain_text('"label": "cat"')
    ((path, headers, body),) = site.requests
    assert path == "/v1/models/cifar/predict?top_k=5&explain=false"
    assert headers["Content-Type"] == "image/jpeg"
    assert body == image


def test_the_key_entered_on_the_page_is_used_here(site: Site, open_page: Open) -> None:
    fill(site)
    page = open_page(site.url)
    actions.give_key(page, KEY)
    page.get_by_role("link", name="API reference").click()
    expect(execute(opened(page, "List models"))).to_contain_text('"name": "cifar"')
    page.get_by_role("link", name="Classify images in the browser").click()
    expect(page.get_by_role("heading", name="Models", exact=True)).to_be_visible()


def test_a_link_to_an_operation_opens_it(site: Site, open_page: Open) -> None:
    page = open_page(f"{site.url}docs#/models/showModel")
    expect(page.locator(".opblock.is-open")).to_contain_text("Retrieve a model")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_reference_fits_a_phone_and_has_a_dark_mode(
    site: Site, open_page: Open, scheme: str
) -> None:
    page = open_page(f"{site.url}docs", viewport={"width": 390, "height": 844}, color_scheme=scheme)
    opened(page, "Classify images")
    expect(page.locator(".responses-table").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ground = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert ground == {"light": "rgba(0, 0, 0, 0)", "dark": "rgb(28, 32, 34)"}[scheme]
