"""Build the JavaScript library in `web/`, the page, and the wheel that carries it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from environments import ROOT, build

WEB = ROOT / "web"


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


def build_page_wheel(out: Path) -> Path:
    """Build the page with node, and the wheel of mien-web with it, in a copy of this clone; return the wheel."""
    source = out / "source"
    copied = shutil.ignore_patterns("node_modules", "site", "dist", "build")
    shutil.copytree(WEB, source / "web", ignore=copied)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "LICENSE", source / "LICENSE")
    (source / "web" / "node_modules").symlink_to(WEB / "node_modules")
    run_in_web(find_node(), str(source / "web" / "build.mjs"), "--page", str(source / "web" / "site"))
    build(source / "web" / "wheel", out, "--wheel")
    (wheel,) = out.glob("*.whl")
    return wheel
