"""Build the JavaScript library in `web/`, and use it from Python in a real browser."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from chromium import Tab

WEB = Path(__file__).parents[2] / "web"


def find_node() -> str:
    """Return the path of node; skip the test if it, or a package that `web/` needs, is not installed."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("node or npm is not installed: apt-get install nodejs npm")
    if not (WEB / "node_modules" / "onnxruntime-web").is_dir():
        pytest.skip("the packages of web/ are not installed: make web (needs the npm registry once)")
    return node


def run_in_web(*command: str, **variables: str) -> str:
    """Run a command in `web/`; return what it prints. The test fails if the command does."""
    done = subprocess.run(
        command, cwd=WEB, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Browser(Tab):
    """A page that has loaded the library, `tests/web/page`."""

    def load(self, bundle: str, **options: Any) -> dict[str, Any]:
        """Load a bundle; return what the reader says of itself, or the error."""
        found: dict[str, Any] = self.tab.evaluate(
            "([bundle, options]) => page.load(bundle, options)", [bundle, options]
        )
        return found

    def predict(self, url: str, name: str | None = None) -> dict[str, Any]:
        """Return the row of an image file of the site, or the error."""
        found: dict[str, Any] = self.run("([url, name]) => page.predict(url, name)", [url, name])
        return found

    def run(self, script: str, argument: Any = None) -> Any:
        """Return what a function of the page returns."""
        return self.tab.evaluate(script, argument)
