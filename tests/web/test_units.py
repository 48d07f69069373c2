"""The library's modules, run in node: their types, and that they compute what Python's compute."""

import json
import re
from pathlib import Path

from web_build import WEB, find_node, run_in_web
from web_values import all_values

from mien.faces import yunet
from mien.faces.resize import Fit, ResizeMethod
from mien.inference.preprocess import NO_FACE
from mien.version import __version__


def run_units(folder: Path, values: str) -> str:
    """Run what `npm test` runs, built in a folder of its own: two of these may run at the same time."""
    node, built = find_node(), folder / "units"
    run_in_web(node, "build.mjs", "--tests", str(built))
    return run_in_web(node, "--test", *map(str, sorted(built.glob("*.mjs"))), MIEN_PYTHON_VALUES=values)


def test_the_types_are_right() -> None:
    find_node()
    run_in_web("npm", "run", "check")


def test_the_modules_compute_what_python_computes(tmp_path: Path) -> None:
    values = all_values()
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    told = run_units(tmp_path, str(path))
    assert "# fail 0" in told
    assert "# skipped 0" in told
    for name in values:
        assert re.search(rf"^ok \d+ - {name}: as Python$", told, re.MULTILINE), name


def test_without_python_those_tests_are_skipped_not_passed(tmp_path: Path) -> None:
    told = run_units(tmp_path, "")
    assert f"# skipped {len(all_values())}" in told


def test_versions_are_pinned_and_the_lock_names_no_host() -> None:
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    assert package["version"] == __version__
    assert all(re.fullmatch(r"[0-9.]+", version) for version in package["devDependencies"].values())
    lock = (WEB / "package-lock.json").read_text("utf-8")
    assert "resolved" not in lock
    assert "://registry" not in lock
    packages = {name: entry for name, entry in json.loads(lock)["packages"].items() if name}
    assert all(entry["integrity"] for entry in packages.values())


def test_constants_are_those_of_python() -> None:
    def source(name: str) -> str:
        return (WEB / "src" / f"{name}.ts").read_text("utf-8")

    assert f'DETECTOR_SHA256 = "{yunet.SHA256}"' in source("yunet")
    assert f'NO_FACE = "{NO_FACE}"' in source("postprocess")
    for name in (*ResizeMethod.__args__, *Fit.__args__):  # type: ignore[attr-defined]
        assert name.removeprefix("pil-") in source("methods") + source("pillow") + source("resize")
