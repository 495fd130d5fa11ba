"""The actions of a user of the page, and the elements they look at."""

from collections.abc import Sequence
from typing import Any

from playwright.sync_api import Locator, Page, expect

TIMES = "\N{MULTIPLICATION SIGN}"

DROP = """files => {
  const transfer = new DataTransfer();
  for (const [name, type, text] of files) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  document.body.dispatchEvent(new DragEvent("drop",
    { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
PASTE = """async text => {
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const blob = new Blob([bytes], { type: "image/png" });
  await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
}"""


def give_key(page: Page, key: str) -> None:
    """Enters a key in the dialog."""
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def choose_model(page: Page, name: str) -> None:
    """Selects a model, and waits for its details."""
    models = page.locator("#models")
    if not models.evaluate("details => details.open"):  # a phone closes them for the results
        models.locator("summary").click()
    page.get_by_role("radio", name=name, exact=True).check()
    expect(page.get_by_role("heading", level=2, name=name, exact=True)).to_be_visible()


def open_details(page: Page) -> None:
    """Shows what is known about the model."""
    page.get_by_text("About this model").click()


def choose_file(page: Page, *files: Any) -> None:
    """Adds images with the file chooser: paths, or {name, mimeType, buffer}."""
    page.get_by_label("Choose images", exact=True).set_input_files(list(files))


def use_sample(page: Page, name: str) -> None:
    """Adds one of the sample images."""
    page.get_by_role("button", name=name).click()


def results(page: Page) -> Locator:
    """The result cards, the newest first."""
    return page.locator("#results > li")


def labels(result: Locator) -> Sequence[str]:
    """The labels of a result, once it has some."""
    shown = result.get_by_role("list", name="Labels, best first").get_by_role("listitem")
    expect(shown.first).to_be_visible()
    return [each.locator("span").first.inner_text() for each in shown.all()]
