"""A headless Chromium, driven over a pipe by the DevTools protocol: JSON between zero bytes, no port and no package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Chromium reads from file 3 and writes to file 4.
_START = """import os, sys
from fcntl import F_DUPFD, fcntl
high = [fcntl(int(number), F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(high[0], 3), os.dup2(high[1], 4)
os.execvp(sys.argv[3], sys.argv[3:])
"""
_OPTIONS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --remote-debugging-pipe --no-first-run"


def program() -> str | None:
    """Where Chromium is, None where it is not."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of a browser. `errors`: what it wrote to the console as an error, and what it asked the network for."""

    def __init__(self, folder: Path):
        to_read, self._write = os.pipe()
        self._read, to_write = os.pipe()
        chromium = [program(), *_OPTIONS.split(), f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, str(to_read), str(to_write), *chromium],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._count, self._buffer, self._session, self.errors = 0, b"", None, []
        targets = self.send("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """The result of a command. Raises RuntimeError for one that fails."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while b"\0" not in self._buffer:
            ready = select.select([self._read], [], [], max(deadline - time.monotonic(), 0))[0]
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                self._process.kill()
                raise TimeoutError("Chromium does not answer.")
            self._buffer += part
        first, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(first)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, told: dict[str, Any]) -> None:
        bad = {
            "Runtime.exceptionThrown": True,
            "Log.entryAdded": told.get("entry", {}).get("level") == "error",
            "Runtime.consoleAPICalled": told.get("type") in ("error", "warning"),
            "Network.requestWillBeSent": not told.get("request", {}).get("url", "").startswith(("file:", "data:")),
        }
        if bad.get(event):
            self.errors.append((event, json.dumps(told)[:600]))

    def open(self, url: str) -> None:
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=url)
        self.wait(
            "document.readyState === 'complete' && document.querySelector('.facts dl, .wrong:not([hidden])') !== null"
        )

    def wait(self, condition: str) -> None:
        """Until an expression is true."""
        deadline = time.monotonic() + 20
        while not self.evaluate(condition):
            assert time.monotonic() < deadline, condition
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description", expression))
        return found["result"].get("value")

    def size(self, width: int, height: int) -> None:
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, **features: str) -> None:
        listed = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.send("Emulation.setEmulatedMedia", features=listed)

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({selector!r}).scrollIntoView({{block: 'center'}})")
        at = self.evaluate(
            f"(() => {{ const r = document.querySelector({selector!r}).getBoundingClientRect(); "
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
            self.send("Input.dispatchMouseEvent", type=kind, x=at[0], y=at[1], **button)

    def key(self, key: str, code: int = 0, text: str = "", times: int = 1) -> None:
        for _ in range(times):
            told = {"key": key, "code": key, "windowsVirtualKeyCode": code or _KEYS.get(key, 0), "text": text}
            self.send("Input.dispatchKeyEvent", type="keyDown", **told)
            self.send("Input.dispatchKeyEvent", type="keyUp", **told)

    def type(self, text: str) -> None:
        """Over what a focused field holds."""
        self.evaluate("document.activeElement.select()")
        self.send("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self) -> None:
        self._session = None
        try:
            self.send("Browser.close")
        finally:
            os.close(self._write)
            os.close(self._read)
            self._process.wait(20)


_KEYS = {
    "Tab": 9,
    "Enter": 13,
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Home": 36,
    "End": 35,
}
