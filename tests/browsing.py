"""A real browser without a window, with all that it asks for and complains about."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_SECONDS = 15
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--window-size=1280,900",
)


def missing() -> str:
    """Why no browser can be had here; nothing if one can."""
    if not any(map(shutil.which, BROWSERS)):
        return "no Chromium is installed (on Debian: apt-get install chromium chromium-driver)"
    return "" if shutil.which("chromedriver") else "no chromedriver is installed (on Debian: chromium-driver)"


@dataclass(slots=True)
class Browser:
    driver: Chrome
    requested: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        self.driver.get(url)

    def one(self, css: str) -> WebElement:
        """The first element of a selector, waited for."""
        return self.until(lambda: next(iter(self.all(css)), None), css)

    def all(self, css: str) -> list[WebElement]:
        return list(self.driver.find_elements(By.CSS_SELECTOR, css))

    def until(self, found: Callable[[], T | None], what: str) -> T:
        """What `found` gives as soon as it is something."""
        wait = WebDriverWait(self.driver, WAIT_SECONDS, 0.05)
        return wait.until(lambda _: found() or False, f"never came: {what}")

    def _log(self, name: str) -> list[dict[str, Any]]:
        return list(self.driver.get_log(name))  # type: ignore[no-untyped-call]

    def requests(self) -> list[str]:
        """The addresses asked for since the start, whoever asked."""
        for entry in self._log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
        return self.requested

    def complaints(self) -> list[str]:
        """What the console says since the last call: errors of scripts, failed requests, breaches of the policy."""
        return [e["message"] for e in self._log("browser") if e["level"] in ("SEVERE", "WARNING")]


@contextmanager
def browsing(folder: Path, *extra: str) -> Iterator[Browser]:
    """A browser with a new profile in `folder`."""
    options = ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for option in (*_OPTIONS, f"--user-data-dir={folder}", *extra):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    os.environ.setdefault("SE_AVOID_STATS", "true")  # Selenium counts its users otherwise
    os.environ.setdefault("SE_OFFLINE", "true")
    driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
