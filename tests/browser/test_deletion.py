"""Deleting a model: the plan, the confirmation, and who may not."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.actions import choose_model, open_details
from tests.browser.conftest import Open
from tests.browser.models import fill, live
from tests.browser.site import KEY, Site


def asked(page: Page, name: str) -> Locator:
    """The dialog that asks whether to delete the model."""
    choose_model(page, name)
    open_details(page)
    page.get_by_role("button", name=f"Delete {name} …").click()
    return page.get_by_role("dialog", name=f"Delete {name}")


def deletions(site: Site) -> list[str]:
    """The paths of the requests."""
    return [path for path, _, _ in site.requests]


def test_a_model_is_deleted_after_its_name_is_typed(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}")
    dialog = asked(page, "tried-out")
    expect(dialog).to_contain_text("2 versions and 2 waiting uploads")
    expect(dialog).to_contain_text("Images in data sets stay.")
    confirm = dialog.get_by_role("button", name="Delete tried-out")
    field = dialog.get_by_label("Type the model's name to confirm")
    expect(field).to_be_focused()
    field.fill("tried")
    expect(confirm).to_be_disabled()
    field.press("Enter")
    assert deletions(site) == ["/v1/models/tried-out?dry_run=true"]
    field.fill("tried-out")
    confirm.click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("radio", name="tried-out")).to_have_count(0)
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()
    expect(page.get_by_role("heading", name="cifar", exact=True)).to_be_visible()
    expect(page.get_by_role("log")).to_contain_text("tried-out is deleted")
    assert page.url == f"{site.url}?model=cifar"
    assert deletions(site)[1:] == ["/v1/models/tried-out"]


def test_a_backbone_with_heads_is_not_offered_for_deletion(open_page: Open, site: Site) -> None:
    fill(site)
    site.heads = 3
    dialog = asked(open_page(f"{site.url}#key={KEY}"), "tried-out")
    expect(dialog).to_contain_text("Models were taught on tried-out (3 versions)")
    expect(dialog.get_by_role("button", name="Delete tried-out")).to_be_hidden()


def test_nothing_is_deleted_on_cancel(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}#key={KEY}")
    dialog = asked(page, "cifar")
    dialog.get_by_label("Type the model's name to confirm").fill("cifar")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("button", name="Delete cifar …")).to_be_focused()
    page.get_by_role("button", name="Delete cifar …").click()
    expect(dialog.get_by_label("Type the model's name to confirm")).to_have_value("")
    expect(dialog).to_contain_text("This deletes")
    assert deletions(site) == ["/v1/models/cifar?dry_run=true"] * 2


def test_without_the_permission_the_page_says_who_may(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    site.may_delete = False
    page = open_page(f"{site.url}#key={KEY}")
    dialog = asked(page, "cifar")
    expect(dialog.get_by_role("alert")).to_contain_text("The API key a1b2c3 may not delete models.")
    expect(dialog.get_by_label("Type the model's name to confirm")).to_be_hidden()
    dialog.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("radio", name="cifar")).to_be_checked()


def test_the_last_model_leaves_the_first_steps(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    dialog = asked(page, "cifar")
    dialog.get_by_label("Type the model's name to confirm").fill("cifar")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No models yet.")).to_be_visible()
    expect(page.locator("#model")).to_be_hidden()
    assert page.url == site.url


def test_a_failure_keeps_the_dialog(open_page: Open, site: Site) -> None:
    site.add(*live("cifar"))
    page = open_page(f"{site.url}#key={KEY}")
    dialog = asked(page, "cifar")
    dialog.get_by_label("Type the model's name to confirm").fill("cifar")
    site.may_delete = False
    confirm = dialog.get_by_role("button", name="Delete cifar")
    confirm.click()
    expect(dialog.get_by_role("alert")).to_contain_text("may not delete models")
    site.may_delete = True
    confirm.click()
    expect(page.get_by_text("No models yet.")).to_be_visible()


def test_a_canarys_counts_do_not_take_the_focus(open_page: Open, site: Site) -> None:
    fill(site)
    page = open_page(f"{site.url}?model=tried-out#key={KEY}")
    open_details(page)
    button = page.get_by_role("button", name="Delete tried-out …")
    button.focus()
    button.evaluate("each => { each.dataset.old = 'yes'; }")
    expect(page.locator("#model button[data-old]")).to_have_count(0)
    expect(button).to_be_focused()
