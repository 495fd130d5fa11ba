"""Debian's Chromium, driven by Playwright. Errors and foreign requests of a page fail its test."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser import site as sites
from tests.browser.site import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TIMEOUT = 120_000
"""Milliseconds to wait for an expectation; a busy machine is slow."""

CAMERA = "--use-fake-device-for-media-stream"
"""A camera with moving shapes."""

EXPECTED = "Failed to load resource"
"""Chromium's console message for every response with an error status."""

COUNT_VIOLATIONS = (
    "addEventListener('securitypolicyviolation', event => console.error("
    "`Content-Security-Policy: ${event.violatedDirective} ${event.blockedURI}`))"
)

Open = Callable[..., Page]


def host(url: str) -> str:
    """Scheme, name and port."""
    return "blob:" if url.startswith("blob:") else "/".join(url.split("/")[:3])


@dataclass
class Watched:
    """The errors and the hosts of requests of a browser context."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self, page: Page) -> None:
        """Listens to a page."""
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("request", lambda request: self.hosts.add(host(request.url)))

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(EXPECTED):
            self.errors.append(text)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. While it is open, its event loop occupies this thread."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine: apt-get install chromium")
    expect.set_options(timeout=TIMEOUT)
    with sync_playwright() as playwright:
        # as root, which continuous integration often is, Chromium has no sandbox
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", CAMERA]
        )
        yield browser
        browser.close()


# Not of the session: the tests after these, in the same process, may run event loops of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@contextmanager
def page_opener(browser: Browser) -> Iterator[Open]:
    """Opens each URL in its own browser context, with Playwright's options for contexts.

    At the end, asserts that there was no error, policy violation, or request to another host.
    """
    opened: list[tuple[BrowserContext, str, Watched]] = []

    def open_page(url: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | options)
        context.set_default_timeout(TIMEOUT)
        context.add_init_script(COUNT_VIOLATIONS)
        page, watched = context.new_page(), Watched()
        watched.watch(page)
        opened.append((context, host(url), watched))
        page.goto(url)
        return page

    yield open_page
    for context, _, _ in opened:
        context.close()
    for _, own, watched in opened:
        assert watched.errors == []
        assert watched.hosts <= {own, "blob:"}


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """As `page_opener`, for one test."""
    with page_opener(browser) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def running_site(browser: Browser) -> Iterator[Site]:  # noqa: ARG001
    with sites.serving() as site:
        yield site


@pytest.fixture
def site(running_site: Site) -> Site:
    """An API without models, under a stage's path."""
    running_site.clear()
    return running_site
