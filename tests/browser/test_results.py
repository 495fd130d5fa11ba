"""Results and failures of classifying images, under a stage's path."""

import base64
import csv
import io
import json
import random
import re
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
from tests.support.inputs.artifacts import encoded
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


def rows(page: Page) -> list[list[str]]:
    """Image, label and score of each row of the newest table."""
    shown = results(page).first.locator("tbody tr").all()
    return [[each.inner_text() for each in row.locator("th, td").all()[1:4]] for row in shown]


def test_several_files_are_one_request_and_one_table(page: Page, site: Site) -> None:
    choose_file(page, file("one.png"), file("two.png"), file("three.png"))
    expect(results(page)).to_have_count(1)
    expect(results(page).first).to_contain_text("3 images classified.")
    expect(results(page).first.get_by_role("heading")).to_have_text("3 images → cifar")
    assert rows(page) == [[f"{name}.png", "cat", "93.0 %"] for name in ("one", "two", "three")]
    ((path, headers, body),) = site.requests
    assert path == "/v1/models/cifar/predict"
    assert headers["content-type"] == "application/json"
    text = base64.b64encode(PNG).decode()
    assert json.loads(body) == {"images": [text] * 3}
    results(page).first.get_by_role("button", name="Open two.png").click()
    expect(results(page).first.get_by_role("heading", name="two.png")).to_be_visible()
    assert labels(results(page).first) == [label for label, _ in PREDICTIONS]


def test_a_request_has_at_most_32_images(page: Page, site: Site) -> None:
    choose_file(page, *(file(f"{number}.png") for number in range(40)))
    expect(results(page).first).to_contain_text("40 images classified.")
    sent = sorted(len(json.loads(body)["images"]) for _, _, body in site.requests)
    assert sent == [8, 32]


def test_in_a_table_each_image_has_its_own_error(page: Page, site: Site) -> None:
    answered = json.loads(answer("cifar", ready(1).id).body)
    error = {"title": "Damaged image", "detail": "The image is damaged."}
    both = [{"predictions": answered.pop("predictions")}, {"error": error}]
    site.replies.append(Reply(200, json.dumps(answered | {"results": both}).encode()))
    problem = {"name": "a.txt", "mimeType": "text/plain", "buffer": bytes(5_000_000)}
    choose_file(page, file("one.png"), file("two.png"), problem)
    expect(results(page).first).to_contain_text("1 image classified, 2 failed.")
    assert rows(page)[:2] == [
        ["one.png", "cat", "93.0 %"],
        ["two.png", "The image is damaged.", ""],
    ]
    assert "the limit is" in rows(page)[2][1]


def test_a_table_marks_images_unlike_those_of_the_teaching(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    answered = json.loads(answer("cifar", ready(1).id).body)
    result = {"predictions": answered.pop("predictions"), "familiarity": 0.01}
    both = [result, result | {"unsure": True}]
    site.replies.append(Reply(200, json.dumps(answered | {"results": both}).encode()))
    choose_file(page, file("one.png"), file("two.png"))
    expect(results(page).first).to_contain_text("2 images classified.")
    assert [row[1] for row in rows(page)] == ["cat", "cat unsure"]
    page.get_by_role("button", name="Copy JSON of the table").click()
    document = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert ["unsure" in each for each in document] == [False, True]


def test_a_table_fits_a_phone(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", viewport={"width": 390, "height": 800})
    expect(page.get_by_role("radio", name="cifar")).to_be_attached()
    choose_file(page, file("IMG_1181.JPG"), file(f"{'long' * 30}.png"))
    expect(results(page).first).to_contain_text("2 images classified.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    button = results(page).first.get_by_role("button", name="Open IMG_1181.JPG").bounding_box()
    assert button
    assert button["height"] < 50
    table = results(page).first.locator(".table")
    assert table.evaluate("each => each.scrollWidth - each.clientWidth") == 0


def test_a_failed_request_is_the_error_of_its_images(page: Page, site: Site) -> None:
    site.replies.append(problem(errors.ModelFailed("secret")))
    choose_file(page, file("one.png"), file("two.png"))
    expect(results(page).first).to_contain_text("0 images classified, 2 failed.")
    results(page).first.get_by_role("button", name="Classify again").click()
    expect(results(page).first).to_contain_text("2 images classified.")


def test_a_table_can_be_copied_as_csv_and_json(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    choose_file(page, file('one, "1".png'), file("two.png"))
    expect(results(page).first).to_contain_text("2 images classified.")
    page.get_by_role("button", name="Copy CSV of the table").click()
    lines = list(csv.reader(page.evaluate("navigator.clipboard.readText()").splitlines()))
    assert lines[0] == ["image", "version", "rank", "label", "score", "error"]
    assert lines[1] == ['one, "1".png', ready(1).id, "1", "cat", "0.93", ""]
    assert len(lines) == 7
    page.get_by_role("button", name="Copy JSON of the table").click()
    document = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert [each["image"] for each in document] == ['one, "1".png', "two.png"]
    assert document[1]["predictions"][0] == {"label": "cat", "score": 0.93}


def test_a_picture_of_the_camera_is_classified(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=["camera"])
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    page.get_by_role("button", name="Use the camera").click()
    page.get_by_role("button", name="Classify this picture").click()
    assert labels(results(page).first)
    expect(page.get_by_role("dialog", name="Camera")).to_be_hidden()
    assert page.evaluate("document.getElementById('camera').srcObject") is None
    (_, headers, body) = site.requests[-1]
    assert headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(body)).size[0] > 100


def test_a_camera_that_is_not_allowed_says_so(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=[])
    page.get_by_role("button", name="Use the camera").click()
    expect(page.get_by_role("alert")).to_contain_text("does not allow the camera")
    expect(page.get_by_role("button", name="Classify this picture")).to_be_disabled()
    page.get_by_role("button", name="Close").click()


def test_images_can_be_dropped_and_pasted(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}", permissions=["clipboard-read", "clipboard-write"])
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    text = base64.b64encode(PNG).decode()
    page.evaluate(actions.DROP, [["a.png", "image/png", text], ["b.png", "image/png", text]])
    expect(results(page).first).to_contain_text("2 images classified.")
    page.evaluate(actions.PASTE, text)
    page.keyboard.press("Control+V")
    expect(results(page)).to_have_count(2)
    newest = results(page).first
    expect(newest.get_by_role("heading")).to_have_text(["pasted-1.png", re.compile("^cifar")])
    assert labels(newest)
    newest.get_by_text("Request with curl").click()
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


def test_an_image_unlike_those_of_the_teaching_is_named_as_such(page: Page, site: Site) -> None:
    answered = json.loads(answer("cifar", ready(1).id).body)
    site.replies.append(
        Reply(200, json.dumps(answered | {"familiarity": 0.01, "unsure": True}).encode())
    )
    use_sample(page, "tabby cat")
    expect(results(page).first).to_contain_text("unlike those that the model was taught with")
    assert labels(results(page).first)
    use_sample(page, "tabby cat")
    expect(results(page)).to_have_count(2)
    expect(results(page).first).not_to_contain_text("unlike those")


def test_timing_and_whether_the_model_was_warm(fresh: Page, site: Site) -> None:
    page = fresh
    version = ready(1).id
    for invoke in (1900.0, 20.0):
        site.replies.append(answer("cifar", version, invoke, place="function"))
    use_sample(page, "tabby cat")
    shown = results(page).first
    expect(shown).to_contain_text("Warm or cold?")
    expect(shown.locator(".steps .step-decode")).to_have_text("decode3.0 ms")
    expect(shown.locator(".steps .step-invoke")).to_have_text("invoke1.90 s")
    use_sample(page, "golden sample")
    expect(results(page).first.locator(".warmth")).to_contain_text("Warm: ")
    expect(results(page).last.locator(".warmth")).to_contain_text("Cold: ")
    expect(results(page).last.locator(".warmth")).to_contain_text("took 20.0 ms")
    expect(results(page).last.locator(".warmth")).to_contain_text(
        f"version {version} in the function"
    )


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


def test_models_and_versions_are_compared_side_by_side(page: Page, site: Site) -> None:
    use_sample(page, "tabby cat")
    assert labels(results(page).first)
    choose_model(page, "tried-out")
    page.get_by_role("combobox", name="Version").select_option(ready(2).id)
    page.get_by_role("button", name=f"Compare with tried-out {ready(2).id}").click()
    card = results(page).first
    other = card.get_by_role("region", name="tried-out")
    expect(other.locator(".predictions li")).to_have_count(3)
    path = f"/v1/models/tried-out/predict?version={ready(2).id}"
    assert site.requests[-1][0] == path
    expect(other.locator("pre")).to_contain_text(path)
    expect(card.get_by_role("heading", level=4)).to_have_text(
        [re.compile("^cifar"), re.compile("^tried-out")]
    )
    left, right = (each.bounding_box() for each in card.locator(".answer").all())
    assert left is not None
    assert right is not None
    assert (left["y"], left["x"] < right["x"]) == (right["y"], True)
    choose_model(page, "cifar")
    card.get_by_role("button", name="Classify again").click()
    expect(card.locator(".answer")).to_have_count(2)


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
    use_sample(page, "golden sample")
    page.get_by_role("button", name="Remove golden-cifar").click()
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
