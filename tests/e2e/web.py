"""What browser tests share: Debian's chromium, pages that may not go wrong, axe, screenshots."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Locator, Page

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "docs" / "screenshots"
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE_MS = 20_000
TWO_LINES_PX = 110
WIDTHS = (390, 1440)
KEEP = os.environ.get("OPENMINED_SCREENSHOTS") == "write"
"""Whether screenshots replace the committed ones: they differ with every run."""


def missing_for_browser(static: Path) -> str | None:
    """Say why browser tests cannot run here, or None."""
    if shutil.which("chromium") is None:
        return "Debian's chromium is not installed"
    if not (static / "index.html").is_file():
        return f"the web interface is not built: run `make web` ({static.name} is missing)"
    if not AXE.is_file():
        return "axe-core is not installed: run `make web`"
    return None


@contextmanager
def browsing() -> Iterator[Browser]:
    """Run a headless chromium."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page and what went wrong in it."""

    page: Page
    hosts: set[str]
    faults: list[str] = field(default_factory=list)

    def allow(self, part: str) -> None:
        """Forget faults that the test itself provoked."""
        self.faults = [fault for fault in self.faults if part not in fault]


@contextmanager
def open_page(browser: Browser, hosts: set[str], **options: Any) -> Iterator[Watched]:
    """Open a page that may call `hosts` only; scripts' errors and CSP violations fail the test."""
    context = browser.new_context(reduced_motion="reduce", accept_downloads=True, **options)
    context.set_default_timeout(_PATIENCE_MS)
    watched = Watched(context.new_page(), hosts)
    _watch(context, watched)
    yield watched
    # A test's route may be answering just now: what it waits for goes with the context.
    watched.page.unroute_all(behavior="ignoreErrors")
    context.close()
    assert not watched.faults, "\n".join(watched.faults)


def _watch(context: BrowserContext, watched: Watched) -> None:
    def on_request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.netloc not in watched.hosts:
            watched.faults.append(f"a request to a foreign host: {url}")

    page = watched.page
    context.on("request", lambda request: on_request(request.url))
    page.on("pageerror", lambda error: watched.faults.append(f"a script failed: {error}"))
    page.on(
        "console",
        lambda message: (
            watched.faults.append(f"console: {message.text} ({message.location['url']})")
            if message.type == "error"
            else None
        ),
    )


def find_barriers(page: Page) -> list[str]:
    """Return axe-core's serious and critical findings, and whether it is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    found = [f"{page.url} is {wide} px wider than its window"] if wide > 0 else []
    head = page.locator("header").bounding_box()
    if head is None or head["height"] > TWO_LINES_PX:
        found.append(f"the header is no more than two lines, not {head}")
    # Run in an isolated world: the page's policy allows no foreign script, and need not.
    session = page.context.new_cdp_session(page)
    frame = session.send("Page.getFrameTree")["frameTree"]["frame"]["id"]
    world = session.send("Page.createIsolatedWorld", {"frameId": frame})["executionContextId"]
    session.send(
        "Runtime.evaluate",
        {"expression": AXE.read_text(encoding="utf-8"), "contextId": world},
    )
    answer = session.send(
        "Runtime.evaluate",
        {
            "expression": "axe.run(document, {resultTypes: ['violations']}).then(JSON.stringify)",
            "contextId": world,
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    session.detach()
    return found + [
        f"{violation['impact']}: {violation['help']}: {node['html'][:160]}"
        for violation in json.loads(answer["result"]["value"])["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def picture(page: Page, name: str) -> None:
    """Look at a page in both widths, light and dark: accessible, not too wide; keep pictures."""
    before = page.viewport_size
    barriers: list[str] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_function(
                "scheme => document.documentElement.dataset.mantineColorScheme === scheme",
                arg=scheme,
            )
            barriers += [f"{width} {scheme}: {found}" for found in find_barriers(page)]
            if KEEP:
                SCREENSHOTS.mkdir(parents=True, exist_ok=True)
                path = SCREENSHOTS / f"{name}-{width}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    if before is not None:
        page.set_viewport_size(before)
    assert not barriers, f"{page.url}\n" + "\n".join(barriers)


SEES_FOCUS = """() => {
  const at = document.activeElement;
  const ringed = at.closest(".mantine-Input-input") ?? at;
  const { outlineStyle, outlineWidth } = getComputedStyle(ringed);
  return outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2;
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Go to an element as a person without a mouse does, who always sees where she is."""
    for _ in range(60):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Tab")
        at = page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        assert page.evaluate(SEES_FOCUS) or at.startswith("<body"), f"no ring around {at}"
    raise AssertionError(f"no way by the keyboard to {target}")


def type_into(page: Page, label: str, text: str) -> None:
    """Go to a field by the keyboard and type."""
    tab_to(page, page.get_by_label(label))
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def press(page: Page, target: Locator) -> None:
    """Go to a button or a link by the keyboard and press it."""
    tab_to(page, target)
    page.keyboard.press("Enter")
