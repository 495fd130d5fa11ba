"""A model of three labels is taught on the page of a real stack and asked."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import expect

from tests.browser.actions import choose_file, labels, results
from tests.browser.conftest import COUNT_VIOLATIONS, TIMEOUT, Watched, chromium
from tests.support.processes.waiting import LONG
from tests.support.stacks import start

COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (40, 60, 200)}


def picture(colour: tuple[int, int, int], seed: int) -> bytes:
    """A noisy square of a colour."""
    noise = np.random.default_rng(seed).normal(0, 25, (48, 48, 3))
    file = io.BytesIO()
    pixels = np.clip(np.array(colour) + noise, 0, 255).astype("uint8")
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def halves(left: str, right: str) -> bytes:
    """A picture of two colours."""
    sides = [Image.open(io.BytesIO(picture(COLOURS[each], 60))) for each in (left, right)]
    both = Image.new("RGB", (96, 48))
    both.paste(sides[0], (0, 0))
    both.paste(sides[1], (48, 0))
    file = io.BytesIO()
    both.save(file, "PNG")
    return file.getvalue()


def points_at(answer: dict[str, Any]) -> str:
    """The colour of the half of red and blue on which the heat map is stronger."""
    content = base64.b64decode(answer["explanation"]["heatmap"])
    heatmap = np.asarray(Image.open(io.BytesIO(content)), float)
    assert heatmap.shape == (32, 64)
    return "red" if heatmap[:, :28].mean() > 2 * heatmap[:, 36:].mean() else "blue"


def files(label: str, first: int, count: int) -> list[Any]:
    return [
        {
            "name": f"{label}-{at}.png",
            "mimeType": "image/png",
            "buffer": picture(COLOURS[label], at),
        }
        for at in range(first, first + count)
    ]


def test_a_model_is_taught_on_the_page_and_answers_over_the_api(tmp_path: Path) -> None:
    with chromium() as browser:
        stack = start(tmp_path)
        try:
            there = stack.address
            page, watched = browser.new_page(), Watched()
            page.set_default_timeout(TIMEOUT)
            page.add_init_script(COUNT_VIOLATIONS)
            watched.watch(page)
            page.goto(f"{there.url}/#key={there.api_key}")
            page.get_by_role("button", name="Teach a model").click()
            page.get_by_label("Name of the model").fill("colours")
            page.get_by_role("button", name="Add label").click()
            for at, label in enumerate(COLOURS):
                card = page.locator(".teach-label").nth(at)
                card.get_by_label("Label", exact=True).fill(label)
                page.get_by_label(f"Choose images for {label}").set_input_files(files(label, 0, 10))
                expect(card).to_contain_text("10 images")
            page.get_by_role("button", name="Teach", exact=True).click()
            ask = page.get_by_role("button", name="Ask colours")
            expect(ask).to_be_visible()
            ask.click()
            expect(page.get_by_role("radio", name="colours")).to_be_checked()
            choose_file(page, *files("green", 50, 1))
            assert labels(results(page).first)[0] == "green"
            headers = {"x-api-key": there.api_key}
            answer = httpx.post(
                f"{there.url}/models/colours/predict",
                headers=headers | {"content-type": "image/png"},
                content=picture(COLOURS["blue"], 51),
                timeout=LONG,
            ).json()
            assert answer["predictions"][0]["label"] == "blue"
            page.get_by_role("button", name="Why green?").click()
            expect(page.get_by_role("img", name="Heat map over green-50.png.")).to_be_visible()
            explained = httpx.post(
                f"{there.url}/models/colours/predict?explain=true",
                headers=headers | {"content-type": "image/png"},
                content=halves("red", "blue"),
                timeout=LONG,
            ).json()
            assert points_at(explained) == explained["predictions"][0]["label"]
            page.get_by_role("button", name="Add images and teach again").click()
            expect(page.locator(".teach-label").first).to_contain_text("10 images")
            page.get_by_label("Choose images for red").set_input_files(files("red", 10, 5))
            page.get_by_role("button", name="Teach", exact=True).click()
            expect(page.get_by_role("button", name="Ask colours")).to_be_visible()
            shown = httpx.get(f"{there.url}/models/colours", headers=headers, timeout=LONG).json()
            assert (shown["kind"], len(shown["versions"])) == ("head", 2)
            assert watched.errors == []
        finally:
            stack.stop()
