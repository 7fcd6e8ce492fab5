"""What tests of the site in a browser share: where the browser is, a server of a folder, and what a page asks for."""

from __future__ import annotations

import shutil
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any


def find_chromium() -> str | None:
    """Return where Chromium is, if it is installed."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves a folder, and prints nothing."""

    def log_message(self, format: str, *args: Any) -> None:
        """Leave out the line for a request."""


class Watch:
    """What a page asks for and complains about."""

    def __init__(self, page: Any) -> None:
        self.asked: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda request: self.complaints.append(request.url))

    def check(self, folder: Path) -> None:
        """Refuse requests that left the folder, and any complaint."""
        assert not [url for url in self.asked if not url.startswith((folder.as_uri(), "data:"))]
        assert not self.complaints
