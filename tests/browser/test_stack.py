"""The page as `make run` serves it: real models, the real API, the real bucket."""

import os
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from local.moto.aws import client
from tests.browser import actions
from tests.browser.actions import choose_file, choose_model, labels, results, use_sample
from tests.browser.conftest import page_opener
from tests.support.inputs.artifacts import packed
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import ROOT, Running, start

IMAGES = ROOT / "samples/images"
CAT = IMAGES / "cifar/cat-chelsea.jpg"


@pytest.fixture(scope="module")
def stack(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: ARG001
    running = start(tmp_path_factory.mktemp("stack"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def page(browser: Browser, stack: Running) -> Iterator[Page]:
    """One page for all tests, with the key entered in the dialog."""
    with page_opener(browser) as open_page:
        page = open_page(stack.address.url)
        actions.give_key(page, "not-the-key")
        expect(page.get_by_role("alert")).to_contain_text("The API refused this key.")
        actions.give_key(page, stack.address.api_key)
        expect(page.get_by_role("radio", name="cifar")).to_be_checked()
        yield page


@pytest.fixture(autouse=True)
def no_answers(page: Page) -> None:
    """Each test begins with the gallery's first model, and no images."""
    choose_model(page, "cifar")
    clear = page.get_by_role("button", name="Clear")
    if clear.is_visible():
        clear.click()


def test_an_image_gets_its_label(page: Page) -> None:
    choose_file(page, CAT)
    shown = results(page).first
    assert labels(shown)[0] == "cat"
    expect(shown.locator(".steps dt")).to_have_text(
        ["registry", "decode", "preprocess", "invoke", "network and gateway", "total"]
    )
    shown.get_by_role("button", name="Classify again").click()
    expect(shown.locator(".warmth")).to_contain_text(re.compile("^(Warm|Cold): "))


@pytest.mark.parametrize(
    ("model", "sample", "label"),
    [
        ("cifar", "tabby cat", "cat"),
        ("cifar", "aeroplane", "airplane"),
        ("cifar", "horse", "horse"),
        ("sign-language", "showing one finger", "1"),
        ("sign-language", "showing two fingers", "2"),
        ("sign-language", "open hand", "5"),
    ],
)
def test_every_sample_gets_its_label(page: Page, model: str, sample: str, label: str) -> None:
    choose_model(page, model)
    use_sample(page, sample)
    assert labels(results(page).first)[0] == label


def test_many_images_are_classified_at_once(page: Page) -> None:
    choose_file(page, *sorted(IMAGES.glob("cifar/*")))
    table = results(page).first
    expect(table).to_contain_text("3 images classified.")
    for row in table.locator("tbody tr").all():
        name, label = (row.locator("th, td").nth(at).inner_text() for at in (1, 2))
        assert name.startswith(f"{label}-")


def test_a_text_file_is_rejected_with_what_to_do(page: Page) -> None:
    choose_file(page, ROOT / "README.md")
    notice = results(page).first.locator(".notice")
    expect(notice).to_contain_text("send JPEG, PNG, WebP, BMP or GIF")
    expect(results(page).first).to_contain_text("This browser cannot display the file.")


@pytest.mark.parametrize("sample", [True, False], ids=["sample", "file"])
def test_the_curl_command_gets_the_pages_result(page: Page, stack: Running, sample: bool) -> None:
    if sample:
        use_sample(page, "tabby cat")
    else:
        choose_file(page, CAT)
    shown = labels(results(page).first)
    line = results(page).first.locator("pre").text_content()
    assert line is not None
    done = subprocess.run(
        ["bash", "-c", line],
        cwd=CAT.parent,
        env={"PATH": os.environ["PATH"], "KEY": stack.address.api_key},
        capture_output=True,
        check=True,
        timeout=LONG,
    )
    answer = httpx.Response(200, content=done.stdout).json()
    assert [each["label"] for each in answer["predictions"]] == shown


def test_a_rejected_upload_is_explained_and_deleted(page: Page, stack: Running) -> None:
    s3 = client("s3", stack.address)
    s3.put_object(
        Bucket=stack.address.bucket, Key="mme/wrapped.tar.gz", Body=packed({"model/1/a": b"a"})
    )
    headers = {"x-api-key": stack.address.api_key}
    url = f"{stack.address.url}/models/wrapped"

    def versions() -> list[dict[str, Any]]:
        found = httpx.get(url, headers=headers, timeout=LONG).json()
        listed: list[dict[str, Any]] = found.get("versions", [])
        return listed

    wait_until(lambda: "REJECTED" in [each["status"] for each in versions()])
    violations = versions()[0]["violations"]
    page.get_by_role("button", name="Refresh").click()
    choose_model(page, "wrapped")
    notice = page.locator("#model .notice.bad")
    expect(notice).to_contain_text("was rejected")
    expect(notice.locator(".violations li").first).to_contain_text("What to do: ")
    use_sample(page, "tabby cat")
    result_notice = results(page).first.locator(".notice")
    expect(result_notice).to_contain_text("was rejected")
    shown = notice.locator(".violations li").all_inner_texts()
    assert result_notice.locator(".violations li").all_inner_texts() == shown
    assert len(shown) == len(violations)
    actions.open_details(page)
    page.get_by_role("button", name="Delete wrapped …").click()
    dialog = page.get_by_role("dialog", name="Delete wrapped")
    expect(dialog).to_contain_text("1 version,")
    dialog.get_by_label("Type the model's name to confirm").fill("wrapped")
    dialog.get_by_role("button", name="Delete wrapped").click()
    expect(page.get_by_role("radio", name="wrapped")).to_have_count(0)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    assert httpx.get(url, headers=headers, timeout=LONG).status_code == 404


def test_static_files_are_served_as_by_the_function(stack: Running) -> None:
    """No key is needed, ETags work, and other files are not served."""
    url = stack.address.url
    page = httpx.get(f"{url}/", timeout=LONG)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    image = httpx.get(f"{url}/page/samples/cat-chelsea.jpg", timeout=LONG)
    assert image.content == (ROOT / "functions/page/static/samples/cat-chelsea.jpg").read_bytes()
    unless = {"if-none-match": image.headers["etag"]}
    again = httpx.get(f"{url}/page/samples/cat-chelsea.jpg", headers=unless, timeout=LONG)
    assert (again.status_code, again.content) == (304, b"")
    for path in ("/page/README.md", "/page/..%2Fapp.py", "/page/index.html"):
        assert httpx.get(url + path, timeout=LONG).status_code in (403, 404), path
