"""A page in headless Chromium, used as a person uses it: what is clicked is found by the words that stand on it."""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECONDS = 90.0

# the innermost thing with exactly these words that can be seen, and be clicked where `kinds` names such; the last of
# several is the one on top: a dialog comes after the page that it covers
_FIND = """
(words, kinds) => {
  const seen = e => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0 && !e.disabled; };
  const says = e => [e.innerText, e.getAttribute('aria-label'), e.placeholder].some(t => (t || '').trim() === words);
  const found = [...document.querySelectorAll(kinds)].filter(e => seen(e) && says(e));
  const inner = found.filter(e => !found.some(o => o !== e && e.contains(o)));
  return inner.at(-1) || null;
}
"""


class Page:
    """One tab, told what to do over the DevTools protocol."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    def tell(self, method: str, **params: object) -> dict:
        """One command of the protocol, and its answer; events in between are dropped."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    def ask(self, expression: str):
        """The value of a JavaScript expression."""
        answer = self.tell("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, address: str) -> None:
        """Go to an address; what it shows is waited for by whoever looks for it."""
        self.tell("Page.navigate", url=address)

    def text(self) -> str:
        """All that can be read."""
        return self.ask("document.body ? document.body.innerText : ''")

    def wait_for(self, words: str, seconds: float = SECONDS) -> str:
        """Wait until these words stand somewhere; the whole text then."""
        deadline = time.monotonic() + seconds
        while words not in (text := self.text()):
            assert time.monotonic() < deadline, f"{words!r} did not appear in:\n{text}"
            time.sleep(0.2)
        return text

    def click(self, words: str, kinds: str = "button, a, [role=option], [role=menuitem], [role=tab], label") -> None:
        """Click what says exactly this, once it is there and stands still."""
        x, y = self.find(words, kinds)
        self.click_at(x, y)

    def find(self, words: str, kinds: str) -> tuple[float, float]:
        """Where the last of these kinds is that says exactly this, once it is there and stands still."""
        return self._place(f"({_FIND})({json.dumps(words)}, {json.dumps(kinds)})", words)

    def click_css(self, selector: str) -> None:
        """Click what has no words on it."""
        x, y = self._place(f"document.querySelector({json.dumps(selector)})", selector)
        self.click_at(x, y)

    def fill(self, label: str, text: str) -> None:
        """Type into the field under this label."""
        field = f"""[...document.querySelectorAll('input, textarea')].find(
            e => (e.closest('.p-label')?.innerText || '').trim().split('\\n')[0] === {json.dumps(label)})"""
        x, y = self._place(field, label)
        self.click_at(x, y)
        self.type(text)
        assert self.ask("document.activeElement.value") == text

    def choose(self, words: str, selector: str = "select.p-native-select__control") -> None:
        """Choose from a list by mouse and keys: its options open outside of the page, where nothing can be clicked."""
        listed = f"[...document.querySelector({json.dumps(selector)}).options].map(o => o.text.trim())"
        self.click_css(selector)
        for _ in range(1 + self.ask(listed).index(words)):
            self.press("ArrowDown")
        self.press("Enter")
        chosen = f"document.querySelector({json.dumps(selector)}).selectedOptions[0]?.text.trim()"
        deadline = time.monotonic() + SECONDS
        while self.ask(chosen) != words:
            assert time.monotonic() < deadline, f"{words!r} was not chosen"
            time.sleep(0.1)

    def click_at(self, x: float, y: float) -> None:
        """Press and release the left button."""
        self.tell("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.tell("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.tell("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key by its name: ArrowDown, Enter."""
        codes = {"Enter": 13, "ArrowDown": 40, "Escape": 27, "Tab": 9, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.tell("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=codes[key], **more)

    def resize(self, width: int, height: int) -> None:
        """Be a window, or a telephone, of this size."""
        self.tell("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Keep what the window shows as a PNG."""
        path.write_bytes(base64.b64decode(self.tell("Page.captureScreenshot", format="png")["data"]))

    def _place(self, element: str, what: str) -> tuple[float, float]:
        """The middle of an element that has been scrolled into view and is not moving any more."""
        measure = f"""(() => {{ const e = {element}; if (!e) return null;
            e.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}});
            const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; }})()"""
        deadline, before = time.monotonic() + SECONDS, None
        while (place := self.ask(measure)) is None or place != before:
            assert time.monotonic() < deadline, f"{what!r} is not to be clicked on:\n{self.text()}"
            before = place
            time.sleep(0.15)
        return tuple(place)


@contextmanager
def browsing(folder: Path, width: int = 1280, height: int = 900) -> Iterator[Page]:
    """A browser of its own with one empty tab, until the block ends. `folder` holds its profile."""
    profile = folder / "chromium"
    command = [
        *(str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        *("--no-first-run", "--disable-background-networking", "--remote-debugging-port=0"),
        *(f"--user-data-dir={profile}", f"--window-size={width},{height}", "about:blank"),
    ]
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"HOME": str(folder), "TMPDIR": str(folder)}
        )
    try:
        with connect(_tab(profile, process), max_size=None, open_timeout=SECONDS) as socket:
            page = Page(socket)
            page.resize(width, height)
            yield page
    finally:
        process.terminate()
        process.wait(SECONDS)


def _tab(profile: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the first tab's socket, once the browser has said on which port it listens."""
    told, deadline = profile / "DevToolsActivePort", time.monotonic() + SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if told.exists() and "\n" in (text := told.read_text()):
            with urllib.request.urlopen(f"http://127.0.0.1:{text.split()[0]}/json/list", timeout=SECONDS) as reply:
                tabs = [one for one in json.load(reply) if one["type"] == "page"]
            if tabs:
                return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise AssertionError("the browser did not start")
