"""Teaching a model on the page: labels, images, progress, the report, and teaching again."""

import base64
import io
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.browser import actions
from tests.browser.conftest import Open
from tests.browser.data_sets import fill_data_set, picture, report, taught
from tests.browser.models import live
from tests.browser.site import KEY, Site
from tests.support.versions import NOW, rejected

VIOLATION = {
    "code": "accuracy-too-low",
    "place": "cat",
    "problem": "1 of 3 images is right",
    "remedy": "add images of cat",
}

BETWEEN_PICTURES = 200
"""Milliseconds, as in camera.js."""


def files(*numbers: int) -> list[Any]:
    """Files for a file chooser."""
    return [
        {"name": f"{each}.png", "mimeType": "image/png", "buffer": picture(each)}
        for each in numbers
    ]


def choose(page: Page, label: str, *numbers: int) -> None:
    """Gives a label images with the file chooser."""
    page.get_by_label(f"Choose images for {label}").set_input_files(files(*numbers))


def teach(page: Page) -> None:
    page.get_by_role("button", name="Teach", exact=True).click()


def current(page: Page) -> Locator:
    """The step under way."""
    return page.locator("#teach-progress [aria-current=step]")


def card(page: Page, number: int) -> Locator:
    return page.locator(".teach-label").nth(number)


def fill(page: Page) -> None:
    """Two labels with three images each."""
    page.get_by_label("Name of the model").fill("pets")
    for at, label in enumerate(("cat", "dog")):
        card(page, at).get_by_label("Label", exact=True).fill(label)
        choose(page, label, *range(3 * at, 3 * at + 3))
        expect(card(page, at)).to_contain_text("3 images")


@pytest.fixture
def page(open_page: Open, site: Site) -> Page:
    """The first view."""
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    page.get_by_role("button", name="Teach a model").click()
    return page


def test_two_labels_with_images_become_the_selected_model(page: Page, site: Site) -> None:
    expect(page.get_by_role("heading", name="Teach a model")).to_be_focused()
    expect(page.locator(".teach-label")).to_have_count(2)
    expect(page.locator("#gallery")).to_be_hidden()
    fill(page)
    expect(page.get_by_role("img", name="0.png")).to_be_visible()
    site.data_sets.is_held = True
    teach(page)
    steps = page.get_by_role("list", name="Progress")
    expect(current(page)).to_contain_text("Read the images")
    expect(steps.locator("li").first).to_contain_text("done")
    site.data_sets.is_held = False
    site.data_sets.outcome = {"status": "PUBLISHED", "report": report()}
    expect(current(page)).to_contain_text("Test it where it runs")
    site.add(*taught("pets", "cat", "dog"))
    ask = page.get_by_role("button", name="Ask pets")
    expect(page.get_by_text("It answers now, here and over the API.")).to_be_visible()
    ask.click()
    expect(page.get_by_role("radio", name="pets")).to_be_checked()
    actions.choose_file(page, *files(1))
    assert actions.labels(actions.results(page).first)
    stored = site.data_sets.images["pets"]
    assert stored["cat"] == {f"{each}.png": picture(each) for each in range(3)}
    assert set(stored["dog"]) == {"3.png", "4.png", "5.png"}
    assert site.data_sets.asked[-1][:2] == ("GET", "/models/pets/teach")
    (begun,) = [each for each in site.data_sets.asked if each[:2] == ("POST", "/models/pets/teach")]
    assert begun[2] == {}
    log = page.get_by_role("log", name="Announcements")
    expect(log).to_contain_text("3 images added to cat, now 3 images")
    expect(log).to_contain_text("Compute their features")


def test_the_report_shows_what_went_wrong(page: Page, site: Site) -> None:
    fill(page)
    site.data_sets.outcome = {"status": "PUBLISHED", "report": report()}
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    site.add(*taught("pets", "cat", "dog"))
    shown = page.locator(".teach-report")
    expect(shown).to_contain_text("83.3 % of 6 images")
    expect(shown).to_contain_text("43.6 % to 97.0 %")
    expect(shown).to_contain_text("Add images of cat and dog.")
    expect(shown).to_contain_text("cat taken for dog: 1 image")
    mistake = shown.locator(".mistakes li")
    expect(mistake).to_contain_text("cat taken for dog (71.0 %)")
    pixel = "canvas => canvas.getContext('2d').getImageData(9, 9, 1, 1).data.join()"
    assert mistake.locator("canvas").evaluate(pixel) == "40,90,1,255"
    shown.get_by_text("Images not used (2)").click()
    expect(shown).to_contain_text("cat/torn.jpg: the file is cut short")
    shown.get_by_role("button", name="Remove 1.png from cat").click()
    expect(card(page, 0)).to_contain_text("2 images")


def test_a_label_is_composed_as_the_api_does_it(page: Page, site: Site) -> None:
    fill(page)
    card(page, 0).get_by_label("Label", exact=True).fill("Ka\u0308fer")
    card(page, 1).get_by_label("Label", exact=True).fill("K\u00e4fer")
    teach(page)
    expect(card(page, 1)).to_contain_text("There is another label K\u00e4fer")
    card(page, 1).get_by_label("Label", exact=True).fill("dog")
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    assert set(site.data_sets.images["pets"]) == {"K\u00e4fer", "dog"}


def test_what_is_missing_is_shown_in_place(page: Page, site: Site) -> None:
    teach(page)
    name = page.get_by_label("Name of the model")
    expect(page.get_by_text("Give the model a name.")).to_be_visible()
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(card(page, 0)).to_contain_text("Give the label a name and images")
    name.fill("My Pets")
    card(page, 0).get_by_label("Label", exact=True).fill("cat")
    choose(page, "cat", 1)
    card(page, 1).get_by_label("Label", exact=True).fill("cat")
    expect(card(page, 0)).to_contain_text("1 image")
    teach(page)
    expect(page.locator("#teach-name-problem")).to_contain_text("lower-case letters")
    expect(card(page, 0)).to_contain_text("One image is too few. Add at least 1 more")
    expect(card(page, 1)).to_contain_text("There is another label cat")
    card(page, 1).get_by_role("button", name="Remove label cat").click()
    teach(page)
    expect(page.get_by_role("alert").filter(has_text="One label is too few")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".teach-label")).to_have_count(2)
    assert site.data_sets.asked == []


def test_files_that_are_no_images_are_named(page: Page) -> None:
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"}
    page.get_by_label("Choose images for").first.set_input_files([text, *files(1)])
    expect(card(page, 0).get_by_role("alert")).to_contain_text("notes.txt: not an image")
    expect(card(page, 0)).to_contain_text("1 image")


def test_a_large_image_is_made_smaller_before_it_is_sent(page: Page, site: Site) -> None:
    fill(page)
    file = io.BytesIO()
    Image.new("RGB", (700, 600), "teal").save(file, "BMP")
    large: Any = {"name": "Große Katze.bmp", "mimeType": "image/bmp", "buffer": file.getvalue()}
    page.get_by_label("Choose images for cat").set_input_files([large])
    expect(card(page, 0)).to_contain_text("4 images")
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    sent = site.data_sets.images["pets"]["cat"]["Gro-e-Katze.jpg"]
    assert len(sent) < 1_000_000 < len(file.getvalue())
    with Image.open(io.BytesIO(sent)) as image:
        assert (image.format, image.size) == ("JPEG", (700, 600))


def test_dropped_images_go_to_the_label_under_the_pointer(page: Page) -> None:
    images = [["a.png", "image/png", base64.b64encode(picture(1)).decode()]]
    drop = actions.DROP.replace("document.body", "document.querySelectorAll('.teach-label')[1]")
    page.evaluate(drop, images)
    expect(card(page, 1)).to_contain_text("1 image")
    page.evaluate(actions.DROP, images)
    expect(page.get_by_role("alert").filter(has_text="Which label?")).to_be_visible()
    expect(actions.results(page)).to_have_count(0)


def test_the_camera_takes_several_pictures_while_the_button_is_held(
    open_page: Open, site: Site
) -> None:
    page = open_page(f"{site.url}?teach#key={KEY}", permissions=["camera"])
    page.clock.install(time=0)
    page.clock.pause_at(1000)  # from here on the page's timers run when the test says so
    page.get_by_role("button", name="Use the camera for").first.click()
    take = page.get_by_role("button", name="Take pictures")
    expect(take).to_be_enabled()
    status = page.locator("#teach-camera-status")
    take.hover()
    page.mouse.down()
    expect(status).to_have_text("1 picture taken.")
    for count in (2, 3):
        page.clock.run_for(BETWEEN_PICTURES)
        expect(status).to_have_text(f"{count} pictures taken.")
    page.mouse.up()
    page.clock.run_for(5 * BETWEEN_PICTURES)
    take.press("Enter")
    expect(status).to_have_text("4 pictures taken.")
    take.evaluate("button => button.click()")  # as a screen reader does
    expect(status).to_have_text("5 pictures taken.")
    page.get_by_role("button", name="Done").click()
    expect(card(page, 0)).to_contain_text("5 images")
    assert page.evaluate("document.getElementById('teach-camera-video').srcObject") is None


def test_a_name_that_is_taken_is_refused_before_anything_is_sent(page: Page, site: Site) -> None:
    fill_data_set(site)
    fill(page)
    page.get_by_label("Name of the model").fill("cifar")
    teach(page)
    taken = page.locator("#teach-name-problem")
    expect(taken).to_have_text("cifar exists already. Choose another name.")
    page.get_by_label("Name of the model").fill("pets")
    teach(page)
    expect(taken).to_contain_text("add images to what is there")
    assert not [each for each in site.data_sets.asked if each[0] != "GET"]
    page.once("dialog", lambda dialog: dialog.accept())
    taken.get_by_role("button", name="Open pets").click()
    expect(page.get_by_role("heading", name="Teach pets again")).to_be_visible()
    expect(card(page, 0)).to_contain_text("3 images")


def test_an_upload_that_fails_goes_on_where_it_stopped(page: Page, site: Site) -> None:
    fill(page)
    site.data_sets.refuse_uploads = 2
    teach(page)
    expect(page.get_by_role("alert").filter(has_text="S3 refused")).to_be_visible()
    assert not site.data_sets.teachings
    sent = len(site.data_sets.images["pets"]["cat"])
    assert sent < 3
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    asked = [
        each[2] for each in site.data_sets.asked if each[:2] == ("POST", "/datasets/pets/images")
    ]
    assert [len(each["images"]) for each in asked] == [3, 3 - sent, 3]


def test_a_teaching_that_is_refused_shows_the_options(page: Page, site: Site) -> None:
    fill(page)
    site.data_sets.refuse_teaching = "There are several backbones: a, b."
    teach(page)
    expect(page.get_by_role("alert").filter(has_text="several backbones")).to_be_visible()
    page.get_by_label("Backbone").fill("a")
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    assert site.data_sets.asked.count(("POST", "/models/pets/teach", {"backbone": "a"})) == 1


def test_a_model_that_is_not_good_enough_is_explained(page: Page, site: Site) -> None:
    fill(page)
    site.data_sets.outcome = {
        "status": "NOT_PUBLISHED",
        "problems": [VIOLATION],
        "report": report(),
    }
    page.get_by_text("Options").click()
    page.get_by_label("Lowest accuracy to publish").fill("90")
    page.get_by_label("Backbone").fill("mobilenet")
    teach(page)
    notice = page.locator("#teach-outcome .notice.bad")
    expect(notice).to_contain_text("The model is not published")
    expect(notice).to_contain_text("add images of cat")
    expect(page.locator(".teach-report")).to_contain_text("83.3 %")
    assert ("POST", "/models/pets/teach", {"backbone": "mobilenet", "min_accuracy": 0.9}) in (
        site.data_sets.asked
    )


def test_an_earlier_rejection_of_the_same_version_is_not_that_of_this_teaching(
    open_page: Open, site: Site
) -> None:
    fill_data_set(site)
    model, _ = taught("pets", "cat", "dog")
    old = rejected(1, "pets")
    site.add(model, old)
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    polled = f"**/models/{model.name}"
    for _ in range(2):
        with page.expect_response(polled):
            pass
    expect(current(page)).to_contain_text("Test it where it runs")
    site.add(model, replace(old, updated_at=NOW))
    notice = page.locator("#teach-outcome .notice.bad")
    expect(notice).to_contain_text("The new version was rejected")


def test_a_report_without_a_fit_names_what_was_left_out(page: Page, site: Site) -> None:
    fill(page)
    left_out = {"skipped": [{"image": "cat/1.png", "problem": "it is cut short"}], "duplicates": []}
    site.data_sets.outcome = {
        "status": "NOT_PUBLISHED",
        "problems": [VIOLATION],
        "report": left_out,
    }
    teach(page)
    expect(page.locator("#teach-outcome .notice.bad")).to_contain_text("The model is not published")
    page.get_by_text("Images not used (1)").click()
    expect(page.locator(".teach-report")).to_contain_text("cat/1.png: it is cut short")


def test_a_data_set_is_changed_and_taught_again(open_page: Open, site: Site) -> None:
    """Adds, removes and renames; two labels may even exchange their names."""
    fill_data_set(site)
    page = open_page(f"{site.url}?model=pets#key={KEY}")
    page.get_by_role("button", name="Add images and teach again").click()
    expect(page.get_by_label("Name of the model")).to_have_value("pets")
    expect(card(page, 0)).to_contain_text("3 images")
    pixel = "canvas => canvas.getContext('2d').getImageData(9, 9, 1, 1).data.join()"
    thumbnail = page.get_by_role("img", name="2.png")
    page.wait_for_function("() => document.querySelectorAll('.strip canvas')[2].width > 1")
    assert thumbnail.evaluate(pixel) == "80,90,2,255"
    assert page.url == f"{site.url}?model=pets&teach=pets"
    page.get_by_role("button", name="Remove 0.png").click()
    expect(page.get_by_role("button", name="Remove 1.png")).to_be_focused()
    choose(page, "cat", 7)
    for at, name in enumerate(("dog", "cat")):
        card(page, at).get_by_label("Label", exact=True).fill(name)
    assert not [each for each in site.data_sets.asked if each[0] != "GET"]
    teach(page)
    expect(page.get_by_role("button", name="Ask pets")).to_be_visible()
    stored = site.data_sets.images["pets"]
    assert set(stored["dog"]) == {"1.png", "2.png", "7.png"}
    assert set(stored["cat"]) == {"3.png", "4.png", "5.png"}
    assert set(stored) == {"cat", "dog"}


def test_labels_that_exchange_their_names_leave_others_alone(open_page: Open, site: Site) -> None:
    fill_data_set(site)
    stored = site.data_sets.images["pets"]
    stored["cat-renamed"] = {"8.png": picture(8), "9.png": picture(9)}
    cat, dog, other = (dict(stored[each]) for each in ("cat", "dog", "cat-renamed"))
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    expect(card(page, 2)).to_contain_text("2 images")
    for at, name in enumerate(("dog", "cat")):
        card(page, at).get_by_label("Label", exact=True).fill(name)
    teach(page)
    expect(page.get_by_role("button", name="Ask pets")).to_be_visible()
    assert stored == {"cat": dog, "dog": cat, "cat-renamed": other}


def test_a_removed_label_goes_when_the_model_is_taught(open_page: Open, site: Site) -> None:
    fill_data_set(site)
    site.data_sets.images["pets"]["bird"] = {"8.png": picture(8), "9.png": picture(9)}
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    page.get_by_role("button", name="Remove label bird").click()
    assert set(site.data_sets.images["pets"]) == {"cat", "dog", "bird"}
    teach(page)
    expect(page.get_by_role("button", name="Ask pets")).to_be_visible()
    assert set(site.data_sets.images["pets"]) == {"cat", "dog"}


def test_a_teaching_that_runs_is_followed_after_a_reload(open_page: Open, site: Site) -> None:
    fill_data_set(site)
    site.data_sets.handle("POST", "/models/pets/teach", b"{}", "")
    site.data_sets.is_held = True
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    expect(current(page)).to_contain_text("Read the images")
    page.get_by_role("button", name="Back to the models").click()
    site.data_sets.is_held = False
    expect(page.get_by_role("radio", name="pets")).to_be_checked()
    page.get_by_role("button", name="Add images and teach again").click()
    expect(page.get_by_role("button", name="Ask pets")).to_be_visible()


def test_a_model_that_is_deleted_is_not_followed(open_page: Open, site: Site) -> None:
    fill_data_set(site)
    site.data_sets.handle("POST", "/models/pets/teach", b"{}", "")
    site.data_sets.is_held = True
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    expect(page.locator("#teach-progress")).to_be_visible()
    site.data_sets.teachings.clear()
    expect(page.locator("#teach-problem")).to_contain_text("pets was deleted during its teaching")


def test_a_model_that_is_deleted_before_it_answers_is_not_followed(
    open_page: Open, site: Site
) -> None:
    fill_data_set(site)
    site.data_sets.outcome |= {"version": f"{9:012x}"}
    page = open_page(f"{site.url}?teach=pets#key={KEY}")
    teach(page)
    expect(current(page)).to_contain_text("Test it where it runs")
    site.models.clear()
    site.data_sets.teachings.clear()
    expect(page.locator("#teach-problem")).to_contain_text("pets was deleted during its teaching")


def test_images_that_are_not_taught_yet_are_kept(page: Page) -> None:
    fill(page)
    page.get_by_role("button", name="Back to the models").click()
    expect(page.locator("#images")).to_be_focused()
    page.get_by_role("button", name="Teach a model").click()
    expect(card(page, 0)).to_contain_text("3 images")


def test_teaching_works_with_the_keyboard_alone(page: Page, site: Site) -> None:
    fill(page)
    page.get_by_label("Choose images for cat").focus()
    page.keyboard.press("Tab")  # the camera
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Remove 0.png")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Remove 2.png")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove 1.png")).to_be_focused()
    page.keyboard.press("Tab")  # the strip is one stop
    expect(card(page, 1).get_by_label("Label", exact=True)).to_be_focused()
    page.keyboard.press("Enter")  # in a field it does not teach
    page.get_by_role("button", name="Teach", exact=True).focus()
    assert not site.data_sets.asked
    page.keyboard.press("Enter")
    expect(current(page)).to_contain_text("Test it where it runs")
    site.add(*taught("pets", "cat", "dog"))
    expect(page.get_by_role("button", name="Ask pets")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Ask pets")).to_be_focused()
