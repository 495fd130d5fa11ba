"""The page shows what in an image speaks for a label: the heat map over the image."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from facet.heads.errors import NotExplainable
from facet.specs import InputSpec
from predict.classification.explanation import draw
from tests.browser.actions import choose_file, choose_model, labels, results
from tests.browser.conftest import Open
from tests.browser.models import live
from tests.browser.site import KEY, Reply, Site, answer, problem
from tests.support.inputs import artifacts

SIZE = (80, 60)
SPEC = InputSpec.model_validate(artifacts.manifest()["input"])
PARTS = np.zeros((6, 8), np.float32)
PARTS[4:6, 6:8] = 1

SHIFTS = """() => {
  window.shifts = [];
  new PerformanceObserver(list => window.shifts.push(...list.getEntries()
    .filter(({ hadRecentInput }) => !hadRecentInput).map(({ value }) => value)))
    .observe({ type: "layout-shift" });
}"""


def grey(name: str = "photo.png") -> dict[str, Any]:
    """A light grey image."""
    file = io.BytesIO()
    Image.new("RGB", SIZE, (180, 180, 180)).save(file, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": file.getvalue()}


def explanation(parts: NDArray[np.float32] = PARTS) -> dict[str, str]:
    heatmap = draw(SPEC, SIZE, parts)
    return {"label": "cat", "heatmap": base64.b64encode(heatmap).decode()}


@pytest.fixture
def cats(site: Site) -> Site:
    """A site with the model `cats`, which explains its answers."""
    site.add(*live("cats"))
    site.explains["cats"] = explanation()
    return site


def ask(open_page: Open, site: Site, **options: Any) -> Page:
    page = open_page(f"{site.url}#key={KEY}", **options)
    choose_model(page, "cats")
    choose_file(page, grey())
    assert labels(results(page).first)[0] == "cat"
    return page


def why(page: Page) -> Locator:
    return page.get_by_role("button", name="Why cat?")


def corners(page: Page) -> list[list[int]]:
    """RGB near the picture's top left and bottom right."""
    found: list[list[int]] = page.locator(".why canvas").evaluate(
        "canvas => { const context = canvas.getContext('2d');"
        " const { data } = context.getImageData(0, 0, canvas.width, canvas.height);"
        " return [[0.1, 0.1], [0.9, 0.9]].map(([x, y]) => {"
        " const [column, row] = [x * canvas.width, y * canvas.height].map(Math.floor);"
        " const at = 4 * (row * canvas.width + column);"
        " return [...data.slice(at, at + 3)]; }); }"
    )
    return found


def test_the_map_lies_over_the_image_and_says_where_it_is_strong(
    open_page: Open, cats: Site
) -> None:
    page = ask(open_page, cats)
    expect(why(page)).to_have_attribute("aria-expanded", "false")
    why(page).focus()
    page.keyboard.press("Enter")
    shown = page.get_by_role("img", name="Heat map over photo.png.")
    expect(shown).to_have_attribute(
        "aria-label",
        "Heat map over photo.png. What speaks for cat is "
        "red and, where most does, yellow: at the bottom right.",
    )
    expect(page.locator(".why figcaption")).to_contain_text("at the bottom right.")
    expect(page.get_by_role("log")).to_contain_text("photo.png: What speaks for cat is red")
    far, (red, green, blue) = corners(page)
    assert far == [180, 180, 180]
    assert red > green > blue + 90, "more yellow than red"
    asked = cats.requests[-1]
    assert asked[0].endswith(f"/predict?version={cats.models['cats'][0].live}&explain=true")
    assert asked[2] == cats.requests[-2][2], "the same image"
    expect(why(page)).to_be_focused()
    page.keyboard.press("Enter")
    expect(shown).to_be_hidden()
    page.keyboard.press("Enter")
    expect(shown).to_be_visible()
    assert len(cats.requests) == 2, "it is asked for once"


def test_a_map_without_anything_says_so(open_page: Open, cats: Site) -> None:
    cats.explains["cats"] = explanation(PARTS * 0)
    page = ask(open_page, cats)
    why(page).click()
    expect(page.locator(".why figcaption")).to_contain_text("No part of the image speaks for cat")
    assert corners(page) == [[180, 180, 180]] * 2


def test_a_failure_says_why_and_can_be_retried(open_page: Open, cats: Site) -> None:
    page = ask(open_page, cats)
    cats.replies.append(problem(NotExplainable("cats", "mobilenet", "0" * 12)))
    why(page).click()
    expect(page.locator(".why .notice")).to_contain_text("has no maps")
    page.locator(".why").get_by_role("button", name="Try again").click()
    expect(page.get_by_role("img", name="Heat map over photo.png.")).to_be_visible()
    expect(why(page)).to_be_focused()


def test_a_model_that_explains_nothing_has_no_button(open_page: Open, cats: Site) -> None:
    cats.explains.clear()
    expect(why(ask(open_page, cats))).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_moves_and_a_phone_has_room(open_page: Open, cats: Site, scheme: str) -> None:
    page = ask(open_page, cats, viewport={"width": 360, "height": 740}, color_scheme=scheme)
    below = page.get_by_text("Request with curl")
    page.evaluate(SHIFTS)

    held: list[Route] = []
    page.route("**/predict?*explain=true", lambda route: held.append(route))
    with page.expect_request("**/predict?*explain=true"):
        why(page).click()
    expect(page.get_by_role("img", name="photo.png, before its heat map")).to_be_visible()
    before = below.bounding_box()
    page.wait_for_timeout(800)  # so long a shift counts as the click's
    held[0].continue_()
    expect(page.get_by_role("img", name="Heat map over photo.png.")).to_be_visible()
    assert below.bounding_box() == before
    assert sum(page.evaluate("window.shifts")) == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    box = page.locator(".why canvas").bounding_box()
    assert box
    assert box["width"] / box["height"] == pytest.approx(SIZE[0] / SIZE[1], rel=0.02)
    assert box["width"] > 250


def test_an_answer_may_come_before_the_description_of_its_model(
    open_page: Open, cats: Site
) -> None:
    document = json.loads(answer("cats", str(cats.models["cats"][0].live)).body)
    cats.replies.append(Reply(200, json.dumps(document | {"familiarity": 0.5}).encode()))
    page = open_page(f"{cats.url}?model=cats#key={KEY}")
    expect(page.get_by_role("radio", name="cats")).to_be_checked()
    held: list[Route] = []
    page.route("**/models/cats", lambda route: held.append(route), times=1)
    page.reload()
    choose_file(page, grey())
    expect(why(page)).to_be_visible()
    assert len(held) == 1, "the page still waits for the description"
    held[0].continue_()
