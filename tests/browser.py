"""A real browser for the tests: Debian's chromium, without a window, driven over WebDriver."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from selenium.common.exceptions import (
    JavascriptException,
    NoSuchElementException,
    StaleElementReferenceException,
    TimeoutException,
)
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

from tests.house import HANG

INSTALL = "apt-get install chromium chromium-driver"
ARTEFACTS = "WYOMING_QWEN3TTS_ARTEFACTS"
"""The environment variable that names the directory for screenshots."""
SCREENSHOTS = Path(__file__).resolve().parent.parent / "build" / "screenshots"
DESKTOP, PHONE, NARROW = (1280, 900), (390, 844), (320, 640)
"""Sizes of windows, in CSS pixels: a computer's, a telephone's, and the least that WCAG asks for."""


T = TypeVar("T")


class Browser:
    """One browser with one page. Elements are waited for."""

    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def open(self, url: str, **headers: str) -> None:
        """Open a page in a new tab with empty storage. ``headers`` are sent with every request."""
        old = self.driver.current_window_handle
        self.driver.switch_to.new_window("tab")
        new = self.driver.current_window_handle
        self.driver.switch_to.window(old)
        self.driver.close()
        self.driver.switch_to.window(new)
        self.command("Network.enable")
        self.command("Network.setExtraHTTPHeaders", headers=headers)
        self.command("Storage.clearDataForOrigin", origin=url[: url.index("/", 8)], storageTypes="all")
        self.look(DESKTOP)
        self.complaints()
        self.driver.get(url)

    def look(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Set the size of the window, and the device's light or dark scheme."""
        width, height = size
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])

    def command(self, name: str, **arguments: Any) -> Any:
        """Run a command of the Chrome DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, arguments)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script, the body of an async function, in the page; return what it returns."""
        body = f"return (async (...given) => {{ {script} }})(...arguments)"
        return self.driver.execute_script(body, *arguments)

    def find(self, selector: str) -> WebElement:
        """Return a visible element."""

        def seen() -> WebElement | None:
            return next(
                (e for e in self.driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed()), None
            )

        return self.until(seen, f"{selector} to be seen")

    def button(self, name: str, within: str = "main") -> WebElement:
        """Return the visible button with an accessible name."""

        def seen() -> WebElement | None:
            buttons = self.driver.find_elements(By.CSS_SELECTOR, f":is({within}) :is(button, a.upload)")
            return next((b for b in buttons if b.is_displayed() and b.accessible_name == name), None)

        return self.until(seen, f"a button {name!r}")

    def read(self, selector: str) -> str:
        """Return the text of an element, visible or not."""
        return str(
            self.driver.execute_script("return document.querySelector(arguments[0]).textContent", selector)
        )

    def reads(self, selector: str, text: str) -> str:
        """Wait until an element contains a text; return its complete text."""
        try:
            self.until(lambda: text in self.read(selector), f"{text!r} in {selector}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {self.read(selector)!r}") from None
        return self.read(selector)

    def until(self, true: Callable[[], T | None], what: str) -> T:
        """Wait until a condition is truthy; return its value."""
        ignored = (NoSuchElementException, StaleElementReferenceException, JavascriptException)
        waiting: WebDriverWait[Chrome] = WebDriverWait(self.driver, HANG, 0.05, ignored_exceptions=ignored)
        try:
            return waiting.until(lambda _: true() or False, what)
        except TimeoutException as error:
            raise AssertionError(f"waited in vain for {what}") from error

    def press(self, *keys: str) -> None:
        """Press keys at the focus; modifiers such as Ctrl are held down to the end of ``keys``."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def choose(self, select: str, value: str) -> None:
        """Choose an option of a select."""
        self.until(lambda: self.driver.find_element(By.CSS_SELECTOR, f"{select} [value='{value}']"), value)
        Select(self.find(select)).select_by_value(value)

    def write(self, field: str, text: str) -> None:
        """Replace the text of a field."""
        element = self.find(field)
        element.clear()
        element.send_keys(text)

    def complaints(self) -> list[str]:
        """Return the errors of the page's console since the last call.

        That a request was refused is none: the browser notes it whatever the page makes of it.
        """
        entries: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        return [entry["message"] for entry in entries if entry["source"] != "network"]

    def keep(self, name: str) -> None:
        """Save a screenshot of the whole page."""
        folder = Path(os.environ.get(ARTEFACTS, SCREENSHOTS))
        folder.mkdir(parents=True, exist_ok=True)
        height = self.run("return document.documentElement.scrollHeight")
        width = self.run("return innerWidth")
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.driver.save_screenshot(str(folder / f"{name}.png"))


@contextmanager
def browser(downloads: Path, microphone: Path) -> Iterator[Browser]:
    """Start a browser whose microphone plays a WAV file in a loop, and whose audio output is muted."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.fail(f"chromium is missing; install it: {INSTALL}")
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless=new",
        "no-sandbox",  # it refuses to run as root without; nothing but this project's page is shown
        "disable-dev-shm-usage",
        "disable-gpu",
        "mute-audio",
        "use-fake-device-for-media-stream",
        "use-fake-ui-for-media-stream",
        f"use-file-for-fake-audio-capture={microphone}",
        "autoplay-policy=no-user-gesture-required",
    ):
        options.add_argument(f"--{argument}")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = Chrome(options, ChromeService(driver))
    try:
        yield Browser(running)
    finally:
        running.quit()
