"""Imports between rooms point down the floors, and heavy libraries stay in the rooms that need them."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mien
from mien.cli import VERBS

PACKAGE = Path(mien.__file__).parent

#: A room imports only rooms on lower floors; rooms on one floor do not import each other.
FLOORS = {
    "root": 0, "runtime": 1, "io": 3, "metrics": 3, "faces": 3, "inference": 4, "viz": 4, "data": 5, "evaluation": 6,
    "explanation": 6, "report": 7, "server": 7, "training": 8, "cli": 9,
}  # fmt: skip

#: Only files whose path starts so may import these libraries: each is slow to load, or comes with an extra.
CONFINED: dict[str, tuple[str, ...]] = {
    "keras": ("training/",),
    "sklearn": ("training/",),
    "scipy": ("training/",),
    "optuna": ("training/search/",),
    "sqlalchemy": ("training/search/database.py",),
    "tensorboardX": ("training/loop/tensorboard.py",),
    "psycopg": ("training/search/database.py",),
    "onnx": ("training/export/",),
    "tf2onnx": ("training/export/",),
    "tensorflow": ("training/backend.py",),
    "jax": ("training/backend.py",),
    "torch": ("training/backend.py",),
    "onnxruntime": ("runtime/providers.py", "training/export/quantize.py"),
    "matplotlib": ("viz/",),
    "av": ("io/video/",),
    "_pi_heif": ("io/images/heif.py",),
    "filelock": ("io/atomic.py",),
    "mien_web": ("training/export/page.py",),
    "ray": ("inference/jobs/ray.py",),
    "click": ("cli/",),
    "rich": ("cli/",),
    "fastapi": ("server/",),
    "starlette": ("server/",),
    "pydantic": ("server/",),
    "uvicorn": ("server/",),
    "prometheus_client": ("server/",),
    "jinja2": ("io/templates.py",),
    "python_multipart": ("server/",),
}


def is_module(name: str) -> bool:
    path = PACKAGE.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imports_of(path: Path) -> set[str]:
    """Return every module that a file imports, anywhere in it; `from mien import viz` is `mien.viz`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name.startswith("mien.") and is_module(name) else str(node.module) for name in inner}
    return names


#: Every file of the package, parsed once: its path below the package, and what it imports.
IMPORTS = {path.relative_to(PACKAGE).as_posix(): imports_of(path) for path in sorted(PACKAGE.rglob("*.py"))}


def room(name: str) -> str:
    """Return the room of a file (`io/images/decoding.py`) or a module (`mien.io.images.decoding`)."""
    first = name.removesuffix(".py").replace("/", ".").removeprefix("mien").strip(".").split(".")[0]
    return first if first in FLOORS else "root"


@pytest.mark.parametrize("file", [file for file in IMPORTS if file not in ("__init__.py", "__main__.py")])
def test_imports_point_down(file: str) -> None:
    here, ours = room(file), {name for name in IMPORTS[file] if name.split(".")[0] == "mien"}
    assert {name for name in ours if room(name) != here and FLOORS[room(name)] >= FLOORS[here]} == set()


def test_no_imports_in_a_circle() -> None:
    modules = {f"mien.{file.removesuffix('.py').replace('/', '.')}".removesuffix(".__init__"): file for file in IMPORTS}
    graph = {name: IMPORTS[file] & modules.keys() - {name} for name, file in modules.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("library", CONFINED)
def test_libraries_stay_in_their_rooms(library: str) -> None:
    users = [file for file, names in IMPORTS.items() if library in {name.split(".")[0] for name in names}]
    assert [file for file in users if not file.startswith(CONFINED[library])] == []


def test_no_module_imports_a_verb() -> None:
    """What two verbs share is in a helper, or below: the command imports a verb by its name, on first use."""
    verbs = {f"mien.cli.verbs.{verb}" for verb in VERBS}
    files = {f"mien.{file.removesuffix('.py').replace('/', '.')}" for file in IMPORTS if file.startswith("cli/verbs/")}
    assert files - {"mien.cli.verbs.__init__"} == verbs
    assert {file: names & verbs for file, names in IMPORTS.items() if names & verbs} == {}


def test_the_floors_are_looked_at() -> None:
    """The rules above would hold in an empty package."""
    assert {room(file) for file in IMPORTS} == FLOORS.keys()
    assert "keras" in IMPORTS["training/networks/networks.py"]
    assert {"mien.inference.bundle", "mien.results"} <= IMPORTS["inference/reader.py"]
