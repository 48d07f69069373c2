"""The page in a browser tab, of `mien serve` or without a server."""

from pathlib import Path
from typing import Any

from chromium import Tab, sync_api


class Visit(Tab):
    """The page, with what a test does on it."""

    def add(self, *files: Path | dict[str, Any]) -> None:
        """Choose files and wait until all are predicted."""
        self.tab.set_input_files("#files", list(files))
        self.wait_until_predicted()

    def wait_until_predicted(self) -> None:
        self.tab.locator(".thumb[data-state=waiting], .thumb[data-state=running]").first.wait_for(state="detached")

    def wait_for(self, selector: str, text: str) -> None:
        sync_api.expect(self.tab.locator(selector)).to_contain_text(text, timeout=30_000)

    def open_webcam(self) -> None:
        """Open the webcam and agree to the notice."""
        self.tab.click("#webcam")
        self.tab.click("#consent-agree")
