"""`optcc explore` in headless Chromium: no errors, passes clicked through, a highlight followed to a formula.

With ``OPTCC_SCREENSHOT=docs/images/explore.webp`` the last test writes the picture of the docs anew.
"""

from __future__ import annotations

import base64
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calls import EXPRESSION, stdout

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update",
    "--disable-background-networking", "--disable-sync", "--window-size=1500,1000",
)  # fmt: skip
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="chromium and chromedriver are not installed (apt-get install chromium-driver)",
)


@pytest.fixture(name="browser", scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(name="opened", params=["gpt2 clip + adamw", "gpt2 lamb"], scope="module")
def _opened(request: pytest.FixtureRequest, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The browser with the page open; it may take two seconds."""
    expression = EXPRESSION if "clip" in request.param else "lamb(1e-3)"
    file = tmp_path_factory.mktemp("page") / "explore.html"
    stdout("explore", expression, "--params", "gpt2", "-o", str(file))
    start = time.perf_counter()
    browser.get(file.as_uri())
    assert time.perf_counter() - start < 2
    return browser


def all_of(browser: Any, selector: str) -> list[Any]:
    return [one for one in browser.find_elements("css selector", selector) if one.is_displayed()]


def target_of(browser: Any, link: Any) -> Any:
    return browser.find_element("css selector", link.get_dom_attribute("href"))


def test_every_pass_opens(opened: Any) -> None:
    links = all_of(opened, "nav.tabs a")
    hidden = [one for one in opened.find_elements("css selector", "nav.tabs a.unchanged") if not one.is_displayed()]
    assert len(links) > 6
    assert hidden
    for link in links:
        link.click()
        assert target_of(opened, link).is_displayed()
        assert "chosen" in link.get_dom_attribute("class")
    opened.find_element("id", "unchanged").click()
    assert all(one.is_displayed() for one in hidden)
    hidden[0].click()
    assert "It changed nothing" in target_of(opened, hidden[0]).text
    opened.find_element("id", "unchanged").click()
    assert not opened.get_log("browser")


def test_three_clicks_from_a_kernel_to_its_formula(opened: Any) -> None:
    """Kernel 1 is of a sweep; a multiplication of that sweep marks the line of the formula that it comes from."""
    all_of(opened, 'nav.tabs a[href="#kernel-1"]')[0].click()
    assert "sweep 1" in opened.find_element("css selector", "#kernel-1 p").text
    all_of(opened, '#kernels p a[href="#sweep-1"]')[0].click()
    product = next(one for one in all_of(opened, "#sweep-1 [data-l]") if "arith.mulf" in one.text)
    product.click()
    marked = all_of(opened, "#formulas .line.on")
    assert len(marked) == 1
    assert "*" in marked[0].text or "_sq(" in marked[0].text
    assert opened.find_element("id", "marked").text == marked[0].get_dom_attribute("title")
    marked[0].click()
    assert "on" in product.get_dom_attribute("class").split()
    assert not opened.get_log("browser")


def test_a_picture_of_it(opened: Any) -> None:
    picture = opened.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 70})["data"]
    assert len(picture) > 10_000
    if file := os.environ.get("OPTCC_SCREENSHOT"):
        Path(file).write_bytes(base64.b64decode(picture))
