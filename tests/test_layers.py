"""A module imports only from its own layer or a lower one, without cycles, and the stages never import each other."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import mien

PACKAGE = Path(mien.__file__).parent

LAYERS = {
    0: "errors labels result version faults cores memory runtime sections wording",
    1: "arrays html image bundle sources tables output inputs journal rows video video_writer",
    2: "detect crop classify calibrate explain dataset split metrics figures ranking bootstrap resampled paired"
    " intervals synthetic looks drawing spoil duplicates inspection reliability rules track timeline yunet views"
    " suspects photograph regions changes appearance",
    3: "reader pipeline parts cluster audit face_audit sheet clean annotate render plots report evaluation charts"
    " diagrams confidence performance thresholds gallery provenance explaining overlay panels attention"
    " faithfulness faithfulness_chart robustness slices borders compare compare_page predictions groups"
    " groups_page",
    4: "train",
    5: "cli serve __init__ __main__",
}
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names.split()}

#: Stages that are one stage in several files: which of them may import which.
HELPERS = {
    ("detect", "views"),
    ("detect", "yunet"),
    ("views", "yunet"),
    ("metrics", "intervals"),
    ("metrics", "figures"),
    ("metrics", "ranking"),
    ("metrics", "bootstrap"),
    ("metrics", "resampled"),
    ("bootstrap", "intervals"),
    ("resampled", "ranking"),
    ("paired", "bootstrap"),
    ("paired", "intervals"),
    ("paired", "figures"),
    ("paired", "resampled"),
    ("reliability", "intervals"),
    ("reliability", "figures"),
    ("reliability", "bootstrap"),
    ("rules", "calibrate"),
    ("synthetic", "looks"),
    ("synthetic", "drawing"),
    ("drawing", "looks"),
}

#: Only these files may import these libraries; each is slow to load, or an extra.
CONFINED: dict[str, str | tuple[str, ...]] = {
    "keras": "train/",
    "sklearn": "train/",
    "scipy": "train/",
    "optuna": "train/",
    "sqlalchemy": "train/study.py",
    "tensorboard": "train/tensorboard.py",
    "onnx": "train/",
    "tf2onnx": "train/",
    "tensorflow": "train/backend.py",
    "jax": "train/backend.py",
    "torch": "train/backend.py",
    "onnxruntime": ("runtime.py", "train/quantize.py"),
    "matplotlib": ("plots.py", "charts.py"),
    "av": ("video.py", "video_writer.py"),
    "ray": "cluster.py",
    "click": "cli/",
    "rich": "cli/",
    "fastapi": "serve/",
    "starlette": "serve/",
    "pydantic": "serve/",
    "uvicorn": "serve/",
    "prometheus_client": "serve/",
    "python_multipart": "serve/",
}

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """`reader.py` is `reader`; everything in `train/` is `train`."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it; `from mien import plots` is `mien.plots`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            assert node.module is not None
            if node.module == "mien" or node.module.startswith("mien."):
                for alias in node.names:
                    inner = PACKAGE.joinpath(*node.module.split(".")[1:], alias.name)
                    is_module = inner.with_suffix(".py").exists() or inner.is_dir()
                    yield f"{node.module}.{alias.name}" if is_module else node.module
            else:
                yield node.module


def ours(path: Path) -> set[str]:
    """The parts of mien that a file imports."""
    names = (name.split(".") for name in imported(path))
    return {name[1] if len(name) > 1 else "__init__" for name in names if name[0] == "mien"}


def test_every_module_has_a_layer() -> None:
    assert {part_of(path) for path in FILES} <= LAYER_OF.keys()
    assert len(FILES) > 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    upward = {other for other in ours(path) if LAYER_OF[other] > LAYER_OF[part]}
    assert not upward, f"{part} (layer {LAYER_OF[part]}) imports {upward} from above"
    if LAYER_OF[part] == 2:
        stages = {other for other in ours(path) if LAYER_OF[other] == 2 and (part, other) not in HELPERS}
        assert not stages, f"the stage {part} imports {stages}"


def test_nothing_imports_in_a_circle() -> None:
    modules = {f"mien.{path.relative_to(PACKAGE).with_suffix('').as_posix().replace('/', '.')}": path for path in FILES}
    graph = {}
    for name, path in modules.items():
        found = {other if other in modules else f"{other}.__init__" for other in imported(path)}
        graph[name] = found & modules.keys() - {name}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("library", CONFINED)
def test_libraries_stay_in_their_place(library: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in FILES
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert {user for user in users if not user.startswith(CONFINED[library])} == set()


def test_keras_is_used_where_it_may_be() -> None:
    """The rules above would hold in an empty package; this one says that they are looking at something."""
    assert "keras" in set(imported(PACKAGE / "train" / "fit.py"))
    assert {"bundle", "classify", "result"} <= ours(PACKAGE / "reader.py")
