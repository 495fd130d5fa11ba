"""Results and failures of classifying images, under a stage's path."""

import base64
import io
import json
import random
from collections.abc import Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from facet import errors
from local.gateway.refusals import Refusal
from tests.browser import actions
from tests.browser.actions import TIMES, choose_file, choose_model, labels, results, use_sample
from tests.browser.conftest import Open, page_opener
from tests.browser.models import GREY, fill, live
from tests.browser.site import KEY, PREDICTIONS, Reply, Site, answer, problem, refusal
from tests.support.artifacts import encoded
from tests.support.versions import ready

PNG = encoded()


def file(name: str, content: bytes = PNG, kind: str = "image/png") -> dict[str, object]:
    """A file for the browser's file chooser."""
    return {"name": name, "mimeType": kind, "buffer": content}


@pytest.fixture(scope="module")
def shared(browser: Browser, running_site: Site) -> Iterator[Page]:
    """A page with the key."""
    with page_opener(browser) as open_page:
        fill(running_site)
        yield open_page(f"{running_site.url}#key={KEY}")


@pytest.fixture
def page(shared: Page, site: Site) -> Page:
    """The same page for each test, without images, with `cifar` selected."""
    fill(site)
    clear = shared.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()
    choose_model(shared, "cifar")
    return shared


@pytest.fixture
def fresh(page: Page) -> Page:
    """The page, reloaded, so that no invocation is recorded."""
    page.reload()
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    return page


def outcome(page: Page) -> Locator:
    """The notice in the newest result."""
    return results(page).first.locator(".notice")


def test_each_of_several_files_is_classified(page: Page, site: Site) -> None:
    choose_file(page, file("one.png"), file("two.png"), file("three.png"))
    expect(results(page)).to_have_count(3)
    for result, name in zip(results(page).all(), ("one", "two", "three"), strict=True):
        assert labels(result) == [label for label, _ in PREDICTIONS]
        expect(result.get_by_role("heading")).to_have_text(f"{name}.png → cifar")
        expect(result).to_contain_text(f"40 {TIMES} 30 pixels")
    assert [body for _, _, body in site.requests] == [PNG] * 3
    assert {path for path, _, _ in site.requests} == {"/v1/models/cifar/predict"}


def test_images_can_be_dropped_and_pasted(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    text = base64.b64encode(PNG).decode()
    page.evaluate(actions.DROP, [["a.png", "image/png", text], ["b.png", "image/png", text]])
    expect(results(page)).to_have_count(2)
    page.evaluate(actions.PASTE, text)
    page.keyboard.press("Control+V")
    expect(results(page)).to_have_count(3)
    newest = results(page).first
    expect(newest.get_by_role("heading")).to_have_text("pasted-1.png → cifar")
    assert labels(newest)
    with page.expect_download() as saved:
        newest.get_by_role("link", name="Save pasted-1.png").click()
    with Image.open(saved.value.path()) as image:
        assert image.size == (40, 30)


def test_scores_are_percentages_and_bars(page: Page) -> None:
    use_sample(page, "tabby cat")
    shown = results(page).first.locator(".predictions li")
    expect(shown).to_have_text(["cat93.0 %", "dog5.0 %", f"{PREDICTIONS[2][0]}< 0.1 %"])
    page.wait_for_function("() => document.getAnimations().length === 0")
    widths = [
        each.evaluate("item => item.firstChild.getBoundingClientRect().width / item.clientWidth")
        for each in shown.all()[:2]
    ]
    assert widths == pytest.approx([0.93, 0.05], abs=0.01)


def test_timing_and_whether_the_model_was_warm(fresh: Page, site: Site) -> None:
    page = fresh
    version = ready(1).id
    for invoke in (1900.0, 20.0):
        site.replies.append(answer("cifar", version, invoke))
    use_sample(page, "tabby cat")
    shown = results(page).first
    expect(shown).to_contain_text("Warm or cold?")
    expect(shown.locator(".steps .step-decode")).to_have_text("decode3.0 ms")
    expect(shown.locator(".steps .step-invoke")).to_have_text("invoke1.90 s")
    use_sample(page, "aeroplane")
    expect(results(page).first.locator(".warmth")).to_contain_text("Warm: ")
    expect(results(page).last.locator(".warmth")).to_contain_text("Cold: ")
    expect(results(page).last.locator(".warmth")).to_contain_text("took 20.0 ms")


def test_the_preview_of_the_model_input(page: Page) -> None:
    choose_model(page, "wide")
    tall = Image.new("RGB", (100, 200), "red")
    choose_file(page, file("tall.png", encoded(tall)))
    seen = page.get_by_role("img", name="tall.png, approximate model input")
    expect(seen).to_be_visible()
    expect(results(page).first).to_contain_text(f"28 {TIMES} 28 pixels, in grey, padded")
    pixel = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]"
    assert seen.evaluate("canvas => [canvas.width, canvas.height]") == [GREY["width"]] * 2
    assert seen.evaluate(pixel, [1, 14]) == [0, 0, 0, 255]
    assert seen.evaluate(pixel, [14, 14]) == [76, 76, 76, 255]


def test_an_image_over_the_limit_is_shrunk_and_the_page_says_so(page: Page, site: Site) -> None:
    noise = random.Random(1).randbytes(2600 * 1950 * 3)
    photo = encoded(Image.frombytes("RGB", (2600, 1950), noise), "JPEG", quality=92)
    assert len(photo) > 4_500_000
    choose_file(page, file("photo.jpg", photo, "image/jpeg"))
    assert labels(results(page).first)
    (_, headers, body) = site.requests[-1]
    sent = Image.open(io.BytesIO(body))
    assert (sent.format, sent.size) == ("JPEG", (2048, 1536))
    assert len(body) <= 4_500_000
    assert headers["content-type"] == "image/jpeg"
    expect(results(page).first).to_contain_text(
        f"a smaller copy is sent: 2,048 {TIMES} 1,536 pixels"
    )
    expect(results(page).first.locator("pre")).to_contain_text("@photo-smaller.jpg")


def test_a_huge_file_that_is_not_an_image_is_not_sent(page: Page, site: Site) -> None:
    choose_file(page, file("film.mov", bytes(5_000_000), "video/quicktime"))
    expect(outcome(page)).to_contain_text("Send a JPEG, PNG, WebP, BMP or GIF.")
    assert site.requests == []


def test_an_image_can_be_classified_with_another_model_and_version(page: Page, site: Site) -> None:
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    choose_model(page, "tried-out")
    page.get_by_role("combobox", name="Version").select_option(ready(2).id)
    page.get_by_role("button", name="Classify with tried-out").click()
    expect(results(page).first.get_by_role("heading")).to_contain_text("→ tried-out")
    assert labels(results(page).first)
    path = f"/v1/models/tried-out/predict?version={ready(2).id}"
    assert site.requests[-1][0] == path
    expect(results(page).first.locator("pre")).to_contain_text(path)


def test_the_selected_version_stays_after_a_refresh(page: Page, site: Site) -> None:
    choose_model(page, "tried-out")
    picker = page.get_by_role("combobox", name="Version")
    picker.select_option(ready(2).id)
    shown = picker.element_handle()
    page.get_by_role("button", name="Refresh").click()
    page.wait_for_function("element => !element.isConnected", arg=shown)
    expect(picker).to_have_value(ready(2).id)
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    assert site.requests[-1][0] == f"/v1/models/tried-out/predict?version={ready(2).id}"


def test_unusual_file_names_are_quoted_for_the_shell(page: Page, site: Site) -> None:
    choose_file(page, file("it's a cat.json", b"{}", "application/json"))
    expect(results(page).first.locator("pre")).to_contain_text("""'@it'\\''s a cat.json'""")
    assert labels(results(page).first)  # the line is shown before the request is sent
    assert site.requests[-1][1]["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (problem(errors.UnsupportedImage("Send JPEG.")), "Send JPEG."),
        (problem(errors.ModelFailed("secret")), "Request id: 7f1c0b7e"),
        (refusal(Refusal.QUOTA), "ask the operator of this API for a larger quota"),
        (refusal(Refusal.TOO_LONG), "Send a smaller copy of it."),
        (
            refusal(Refusal.FAULT),
            "Try again. If it happens again, give the request id to",
        ),
        (refusal(Refusal.NO_ROUTE), "Reload the page."),
        (Reply(200, b"<html>a portal"), "Try again, then reload the page."),
    ],
    ids=["415", "502", "quota", "413", "500", "403", "no JSON"],
)
def test_a_failure_says_what_to_do_and_can_be_retried(
    page: Page, site: Site, reply: Reply, text: str
) -> None:
    site.replies.append(reply)
    use_sample(page, "tabby cat")
    expect(outcome(page)).to_contain_text(text)
    outcome(page).get_by_role("button", name="Try again").click()
    assert labels(results(page).first)
    expect(results(page).first.get_by_role("button", name="Classify again")).to_be_focused()


def test_a_network_failure_can_be_retried(page: Page) -> None:
    page.route("**/predict", lambda route: route.abort(), times=1)
    use_sample(page, "tabby cat")
    expect(outcome(page)).to_contain_text("Check the connection and that the API is running")
    outcome(page).get_by_role("button", name="Try again").click()
    assert labels(results(page).first)


@pytest.mark.parametrize(
    ("reply", "title", "wait"),
    [
        (problem(errors.ModelLoading("Try again soon.")), "The model is loading", 5),
        (problem(errors.EndpointThrottled("Send less.")), "Too many requests", 1),
        (refusal(Refusal.THROTTLED), "Too many requests", 2),
        (refusal(Refusal.TIMEOUT), "No answer within 29 seconds", 5),
    ],
    ids=["loading", "429", "429 of the gateway", "504"],
)
def test_a_temporary_failure_is_retried_after_a_countdown(
    fresh: Page, site: Site, reply: Reply, title: str, wait: int
) -> None:
    page = fresh
    site.replies.append(reply)
    use_sample(page, "tabby cat")
    expect(outcome(page)).to_contain_text(title)
    expect(outcome(page)).to_contain_text(f"Retrying in {wait} s (attempt 2 of 30).")
    if wait > 2:
        outcome(page).get_by_role("button", name="Retry now").click()
    assert labels(results(page).first)
    known = "Cold: " if "loading" in title else "Warm or cold?"
    expect(results(page).first.locator(".warmth")).to_contain_text(known)


def test_retrying_can_be_stopped(page: Page, site: Site) -> None:
    site.replies.extend([problem(errors.ModelLoading("Try again soon."))] * 2)
    use_sample(page, "tabby cat")
    outcome(page).get_by_role("button", name="Stop retrying").click()
    expect(outcome(page).get_by_role("button")).to_have_text(["Try again"])
    assert len(site.requests) == 1


def test_a_model_without_live_version_shows_its_violations(page: Page, site: Site) -> None:
    violation = errors.Violation("no-manifest", "facet.json", "there is none", "add one")
    site.replies.append(problem(errors.NoLiveVersion("refused", [violation])))
    choose_model(page, "refused")
    use_sample(page, "tabby cat")
    expect(outcome(page)).to_contain_text("was rejected")
    expect(outcome(page).locator(".violations li")).to_contain_text("What to do: add one.")


def test_results_can_be_removed(page: Page) -> None:
    use_sample(page, "tabby cat")
    use_sample(page, "aeroplane")
    page.get_by_role("button", name="Remove airplane-on-sky.jpg").click()
    expect(results(page)).to_have_count(1)
    expect(page.get_by_role("heading", name="Results")).to_be_focused()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No results yet.")).to_be_visible()


def test_the_page_requests_a_key_when_it_has_none(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(site.url)
    page.get_by_role("button", name="Not now").click()
    expect(page.get_by_role("alert")).to_contain_text("API key required")
    page.get_by_role("button", name="Try again").click()
    actions.give_key(page, "wrong")
    expect(page.get_by_role("alert")).to_contain_text("The API refused this key.")
    actions.give_key(page, KEY)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    assert page.evaluate("JSON.stringify({...sessionStorage})") == json.dumps(
        {"facet-api-key": KEY}, separators=(",", ":")
    )
    assert page.evaluate("localStorage.length") == 0


def test_a_refused_key_is_requested_again(page: Page, site: Site) -> None:
    site.replies.append(refusal(Refusal.FORBIDDEN))
    use_sample(page, "tabby cat")
    expect(page.get_by_role("alert")).to_contain_text("The API refused this key.")
    actions.give_key(page, KEY)
    assert labels(results(page).first)
