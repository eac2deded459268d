"""Chromium: where it is, its options, windows for it, and what is checked of a page in it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Route

from bookingapp.core.security import HTMX_FALLBACK
from bookingapp.core.settings import PROJECT_ROOT

SHOTS = os.environ.get("E2E_SCREENSHOTS")
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
_WITHOUT = (
    # Toolbars that are pages themselves, each in a process of its own, for every window; and a process in reserve.
    *("PreloadTopChromeWebUI", "InitialWebUI", "WebUIReloadButton", "WebUIToolbar", "WebUIOmniboxPopup"),
    *("InitialWebUISurfaceSync", "WebUIOmniboxFullPopup", "WebUIOmniboxAimPopup"),
    "SpareRendererForSitePerProcess",
    # What Playwright turns off: of two such lists the last one counts.
    *(
        "AvoidUnnecessaryBeforeUnloadCheckSync",
        "DestroyProfileOnBrowserClose",
        "HttpsUpgrades",
        "MediaRouter",
    ),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
ARGUMENTS = [
    # Behind every test's own guard: no name but this machine's resolves.
    *("--no-sandbox", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
    # There is none, and to paint by an imitation of one takes longer.
    *("--disable-gpu", f"--disable-features={','.join(_WITHOUT)}"),
]
# What moves as long as one waits is painted sixty times a second.
CALM: dict[str, Any] = {"reduced_motion": "reduce"}
OUTSIDE = re.compile(r"^(?!http://127\.0\.0\.1[:/])(?!data:)(?!blob:)")
STATIC = PROJECT_ROOT / "bookingapp" / "static"
HTMX_FILE = STATIC / HTMX_FALLBACK
# axe would load our sheets again, which the policy forbids, and talk to the scheduling frame, which is not ours.
AXE = {"preload": False, "iframes": False, "resultTypes": ["violations"]}
# What is right stays in the browser: to carry it here takes as long as to find it.
_RUN_AXE = """async options => {
  const found = await axe.run(options)
  return found.violations.flatMap(one => one.nodes.map(node => `${one.id}: ${node.html.slice(0, 200)}`))
}"""


def open_page(browser: Browser, url: str, **options: Any) -> Page:
    """A window on an application of this process; htmx's CDN is served from the vendored file, nothing else outside."""
    context = browser.new_context(base_url=url, **{**CALM, **options})
    headers = {"Access-Control-Allow-Origin": "*"}
    context.route(OUTSIDE, lambda route: route.fulfill(path=HTMX_FILE, headers=headers))
    serve_static(context)
    return context.new_page()


def serve_static(context: BrowserContext) -> None:
    """Serve the static files of the application and of the sandbox: the development server does not close a file whose
    reader has left, which is an error here.
    """
    context.route(re.compile(r"^http://127\.0\.0\.1:\d+/static/"), _fulfill_static_file)


def _fulfill_static_file(route: Route) -> None:
    name = urlsplit(route.request.url).path.removeprefix("/static/")
    paths = (STATIC / name, STATIC / "sandbox" / name)
    route.fulfill(path=next(path for path in paths if path.is_file()))


def log_in(page: Page, email: str, password: str) -> None:
    """Log in by keyboard; returns on the dashboard."""
    page.goto("/login")
    page.locator("[name=email]").fill(email)
    page.locator("[name=password]").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboard")


def violations(page: Page, options: dict[str, Any] = AXE) -> list[str]:
    """What axe finds."""
    # A page can show its words before its sheet is there; its colors are to be judged with it.
    page.wait_for_load_state("load")
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(_RUN_AXE, options)
    return found


def overflow(page: Page) -> int:
    """By how many CSS pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


def shot(page: Page, name: str) -> None:
    """A picture of the whole page, where ``E2E_SCREENSHOTS`` names a folder."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True, caret="initial")


def list_faults(page: Page, addresses: list[str], shots: str, *, gone: Collection[str] = ()) -> list[str]:
    """Open each page, and list what axe finds there and how much wider than the window it is. All answer with 200, and
    those of ``gone`` with 410; ``shots`` begins the names of the pictures.
    """
    faults = []
    for number, address in enumerate(addresses):
        answer = page.goto(address)
        assert answer
        assert answer.status == (410 if address in gone else 200), address
        shot(page, f"{shots}-{number:02}")
        if found := violations(page):
            faults.append(f"{address}: {found}")
        if too_wide := overflow(page):
            faults.append(f"{address}: {too_wide} px too wide")
    return faults
