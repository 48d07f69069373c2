"""Make the environment of each rival from pinned versions, once, and say what it weighs.

A Python environment is installed with `--no-deps` from the full list of versions: pip resolves nothing, so it never
picks a build of TensorFlow or torch for CUDA. A node environment is `npm ci` of a lock file. mien gets one too, without
any extra, so that its size is that of `pip install mien`.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rivals.readers import OWN

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PINS = HERE / "pins"
READY = ".ready"
#: What every virtual environment begins with.
_BASE = ("pip", "_distutils_hack", "distutils-precedence.pth")


@dataclass(frozen=True)
class Environment:
    """An installed rival.

    Attributes:
        name: that of its file or folder in `pins/`.
        folder: where it is installed.
        megabytes: the size of everything that was installed.
        versions: of the packages that do the work.
    """

    name: str
    folder: Path
    megabytes: float
    versions: dict[str, str]

    def command(self, adapter: str) -> tuple[list[str], dict[str, str]]:
        """Return the words that start an adapter, without its options, and the variables that they need."""
        if Path(adapter).suffix == ".cjs":
            return ["node", str(HERE / "adapters" / adapter)], {"NODE_PATH": str(self.folder / "node_modules")}
        words = [str(self.folder / "bin" / "python"), "-m", f"rivals.adapters.{Path(adapter).stem}"]
        return words, {"PYTHONPATH": str(HERE.parent)}


def make(name: str, where: Path) -> Environment:
    """Return an environment, installed if it is not there or its pins have changed."""
    folder, pins = where / name, PINS / name
    wanted = digest(_sources() if name == OWN else (pins.rglob("*") if pins.is_dir() else [pins.with_suffix(".txt")]))
    ready = folder / READY
    if not ready.exists() or ready.read_text(encoding="utf-8") != wanted:
        print(f"installs {name} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if pins.is_dir():
            _install_node(pins, folder)
        else:
            _install_python(folder, None if name == OWN else pins.with_suffix(".txt"))
        ready.write_text(wanted, encoding="utf-8")
    versions = _node_versions(folder) if pins.is_dir() else _python_versions(folder, name)
    return Environment(name, folder, size(folder) / 1e6, versions)


def digest(files: Iterable[Path]) -> str:
    """Return a hash of the names and the bytes of files."""
    found = hashlib.sha256()
    for path in sorted(path for path in files if path.is_file() and "__pycache__" not in path.parts):
        found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()


def size(folder: Path) -> int:
    """Return the bytes of the installed packages, without pip, which is in every virtual environment."""
    places = [*folder.glob("lib/*/site-packages"), *folder.glob("node_modules")]
    tops = (top for place in places for top in place.iterdir() if not top.name.startswith(_BASE))
    files = (path for top in tops for path in (top.rglob("*") if top.is_dir() else [top]))
    return sum(path.lstat().st_size for path in files if not path.is_dir())


def _sources() -> list[Path]:
    return [ROOT / "pyproject.toml", ROOT / "requirements" / "lock.txt", *(ROOT / "src").rglob("*")]


def _install_python(folder: Path, pins: Path | None) -> None:
    """Install pins as they are; without pins, mien from this clone, with the locked versions of what it needs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    what = ["--no-deps", "-r", str(pins)] if pins else ["-c", str(ROOT / "requirements" / "lock.txt"), str(ROOT)]
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *what], check=True)


def _install_node(pins: Path, folder: Path) -> None:
    for path in pins.iterdir():
        shutil.copy(path, folder / path.name)
    subprocess.run(["npm", "ci", "--loglevel=error"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def _python_versions(folder: Path, name: str) -> dict[str, str]:
    names = {OWN: ("mien", "onnxruntime")}.get(name, (name, "tensorflow_cpu", "opencv_contrib_python"))
    found = [path.name.removesuffix(".dist-info").rpartition("-") for path in folder.glob("lib/*/*/*.dist-info")]
    versions = {package: version for package, _, version in found}
    return {package.replace("_", "-"): versions[package] for package in names if package in versions}


def _node_versions(folder: Path) -> dict[str, str]:
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return {name: str(version) for name, version in wanted.items()}
