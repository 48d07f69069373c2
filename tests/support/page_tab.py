"""The page in a browser tab, of `mien serve` or without a server."""

from pathlib import Path
from typing import Any

from chromium import PATIENCE, Tab, sync_api


class Visit(Tab):
    """The page, with what a test does on it."""

    def add(self, *files: Path | dict[str, Any]) -> None:
        """Choose files and wait until all are predicted."""
        self.tab.set_input_files("#files", list(files))
        self.wait_until_predicted()

    def drop(self, path: Path) -> None:
        """Drag an image file over the page and drop it."""
        data = self.tab.evaluate_handle(
            """([bytes, name]) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/jpeg" }));
              return transfer;
            }""",
            [list(path.read_bytes()), path.name],
        )
        self.tab.dispatch_event("body", "dragenter", {"dataTransfer": data})
        assert self.tab.is_visible("#drop-overlay")
        self.tab.dispatch_event("body", "drop", {"dataTransfer": data})
        assert not self.tab.is_visible("#drop-overlay")

    def paste(self, path: Path) -> None:
        """Paste an image, as from the clipboard."""
        self.tab.evaluate(
            """(bytes) => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/png" }));
              document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
            }""",
            list(path.read_bytes()),
        )

    def tab_to(self, name: str) -> None:
        """Press Tab until the element with this id is in focus."""
        for _ in range(40):
            self.tab.keyboard.press("Tab")
            if self.tab.evaluate("document.activeElement.id") == name:
                return
        raise AssertionError(f"#{name} cannot be reached by keyboard")

    def wait_until_predicted(self) -> None:
        self.tab.locator(".thumb[data-state=waiting], .thumb[data-state=running]").first.wait_for(state="detached")

    def wait_for(self, selector: str, text: str) -> None:
        sync_api.expect(self.tab.locator(selector)).to_contain_text(text, timeout=PATIENCE)

    def open_webcam(self) -> None:
        """Open the webcam and agree to the notice."""
        self.tab.click("#webcam")
        self.tab.click("#consent-agree")
