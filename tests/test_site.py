"""The built site in a browser: pages open without a network, are whole, and can be read by everyone.

Skipped where there is no Chromium: `apt-get install chromium`, or `playwright install chromium`.
"""

import shutil
import subprocess
import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}
# Of the browser itself: it asks for no updates, and draws without a graphics card.
FLAGS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--disable-sync"]


# --- one build, one server, one browser --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next(filter(None, map(shutil.which, names)), playwright.chromium.executable_path)
        try:
            opened = playwright.chromium.launch(executable_path=found, args=FLAGS, chromium_sandbox=False)
        except Error as error:
            pytest.skip(f"no Chromium can be started here: {error.message.splitlines()[0]}")
        yield opened
        opened.close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Print nothing: pytest shows what the server writes."""


@pytest.fixture(scope="module")
def built(browser, tmp_path_factory):
    """The folder of the built site; it is built only where a browser can look at it."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


@pytest.fixture(scope="module")
def address(built):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=built)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def seen(browser, built, address):
    """Every page, looked at once: what went wrong while it opened, and what is on it."""
    tab = browser.new_page(viewport=DESKTOP, color_scheme="light", reduced_motion="reduce")
    tab.add_init_script(Axe().axe_script)
    troubles, found, kinds = [], {}, set()
    tab.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: troubles.append(error.message))
    tab.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
    tab.on(
        "request",
        lambda request: None if request.url.startswith(address) else troubles.append(f"external: {request.url}"),
    )
    for page in sorted(path.relative_to(built).as_posix() for path in built.rglob("*.html")):
        troubles.clear()
        tab.goto(address + page)
        found[page] = look(tab, kinds)
        found[page].troubles = list(troubles)
    tab.close()
    return found


def look(tab, kinds):
    """What is on a page. Contrast is slow to compute: one element of each kind that no page had before is looked at."""
    found = SimpleNamespace(**tab.evaluate(FACTS))
    light, dark = barriers(tab, rules={"color-contrast": {"enabled": False}}), {}
    new = tab.evaluate(MARK_NEW_KINDS, list(kinds))
    kinds.update(new)
    if new:
        light |= barriers(tab, "[data-new]", runOnly=["color-contrast"])
        tab.evaluate("document.body.setAttribute('data-md-color-scheme', 'slate')")
        dark = barriers(tab, "[data-new]", runOnly=["color-contrast"])
    tab.set_viewport_size(PHONE)
    for _ in range(20):  # scripts follow a change of the width a moment later
        phone = barriers(tab, runOnly=["scrollable-region-focusable"])
        if not phone:
            break
        tab.wait_for_timeout(100)
    found.cut_off = tab.evaluate(CUT_OFF)
    tab.set_viewport_size(DESKTOP)
    found.barriers = {"light": light, "dark": dark, "phone": phone}
    return found


FACTS = """() => {
  const all = (selector, value) => Array.from(document.querySelectorAll(selector), value);
  return {
    text: document.querySelector("article").innerText,
    links: all("a[href]", a => a.href),
    anchors: all("[id]", element => element.id),
    equations: all("math", m => [m.textContent, m.getBoundingClientRect().width, m.getBoundingClientRect().height]),
    untitled: all("img:not([alt]), img[alt='']", img => img.src),
    broken: all("img", img => img).filter(img => img.complete && !img.naturalWidth).map(img => img.src),
  };
}"""

MARK_NEW_KINDS = """seen => {
  const name = element => `${element.localName}.${element.className}`;
  const hasText = element => Array.from(element.childNodes).some(node => node.nodeType === 3 && node.data.trim());
  const found = {};
  for (const element of document.querySelectorAll("body *:not(math *, svg *)"))
    if (hasText(element) && element.checkVisibility())
      found[`${name(element.parentElement)} > ${name(element)}`] ??= element;
  const fresh = Object.keys(found).filter(kind => !seen.includes(kind));
  fresh.forEach(kind => found[kind].setAttribute("data-new", ""));
  return fresh;
}"""

# The theme cuts off what is wider than the page: an element that sticks out must stand in one that scrolls.
CUT_OFF = """() => {
  const scrolls = element => element.closest("article") && (
    ["auto", "scroll"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  return Array.from(document.querySelectorAll("article *"))
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1 && !scrolls(element.parentElement))
    .slice(0, 5).map(element => element.outerHTML.slice(0, 120));
}"""


def barriers(tab, part="html", **options):
    """Rules of axe-core with serious or critical impact that a part of the page breaks, and where."""
    return tab.evaluate(
        BARRIERS, [part, {"preload": False, "resultTypes": ["violations"], "selectors": False, **options}]
    )


BARRIERS = """async ([part, options]) => {
  const { violations } = await axe.run(part, options);
  const serious = violations.filter(rule => ["serious", "critical"].includes(rule.impact));
  return Object.fromEntries(serious.map(rule => [rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 160))]));
}"""


# --- claims ------------------------------------------------------------------------------------------------------


def failing(seen, what):
    return {page: what(facts) for page, facts in seen.items() if what(facts)}


def test_pages_open_without_an_error_or_a_request_to_another_host(seen):
    assert failing(seen, lambda facts: facts.troubles) == {}


def test_links_and_anchors_resolve(seen, built, address):
    ids = {address + page: set(facts.anchors) for page, facts in seen.items()}

    def dangling(facts):
        inside = {link for link in facts.links if link.startswith(address)}
        return sorted(link for link in inside if not resolves(link, ids, built, address))

    assert failing(seen, dangling) == {}


def resolves(link, ids, built, address):
    target, _, anchor = link.partition("#")
    target += "index.html" if target.endswith("/") else ""
    there = (built / target.removeprefix(address)).is_file()
    return there and (not anchor or anchor in ids[target])


def test_mathematics_is_drawn(seen):
    assert sum(len(facts.equations) for facts in seen.values()) > 100
    assert failing(seen, lambda facts: [e for e, width, height in facts.equations if min(width, height) < 4]) == {}
    assert failing(seen, lambda facts: [s for s in ("\\sum", "\\xi", "$$") if s in facts.text]) == {}


def test_pictures_are_there_and_have_alternative_text(seen):
    assert failing(seen, lambda facts: facts.untitled + facts.broken) == {}


@pytest.mark.parametrize("view", ["light", "dark", "phone"])
def test_axe_finds_no_serious_barrier(seen, view):
    assert failing(seen, lambda facts: facts.barriers[view]) == {}


def test_nothing_is_cut_off_on_a_phone(seen):
    assert failing(seen, lambda facts: facts.cut_off) == {}


def test_no_page_is_large(built):
    assert max(path.stat().st_size for path in built.rglob("*.html")) < 1.5e6


def test_search_finds_a_class(browser, address):
    tab = browser.new_page(viewport=DESKTOP)
    tab.goto(address + "?q=TTTensor")
    tab.locator(".md-search-result__link").first.wait_for()
    assert "TTTensor" in tab.locator(".md-search-result__list").inner_text()
    tab.close()


@pytest.mark.parametrize(("preference", "scheme"), [("light", "default"), ("dark", "slate")])
def test_the_site_follows_the_preferred_colours(browser, address, preference, scheme):
    tab = browser.new_page(color_scheme=preference)
    tab.goto(address)
    assert tab.locator("body").get_attribute("data-md-color-scheme") == scheme
    tab.close()


def test_the_landing_page_needs_no_script(browser, address):
    context = browser.new_context(java_script_enabled=False, viewport=DESKTOP)
    tab = context.new_page()
    tab.goto(address)
    for text in ("A tensor format is a picture of an einsum graph", "Install"):
        assert tab.get_by_text(text).first.is_visible()
    assert tab.locator("math").first.bounding_box()["height"] > 4
    context.close()
