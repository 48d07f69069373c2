"""The files of a release: refused if something does not fit, complete, and equal for equal commits."""

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from web_build import find_node, run_in_web

from mien.version import __version__

ROOT = Path(__file__).parents[2]
CHANGELOG = (
    "# Changelog\n\n## 1.1.0 (2026-02-03)\n\n- New.\n\n### Fixed\n\n- Old.\n\n## 1.0.0 (unreleased)\n\n- First.\n"
)


def load(path: Path) -> ModuleType:
    found = util.spec_from_file_location("release", path)
    assert found is not None and found.loader is not None
    module = util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


release: Any = load(ROOT / "tools" / "release.py")


def test_the_notes_are_the_section_of_the_version() -> None:
    assert release.release_notes(CHANGELOG, "1.1.0") == "- New.\n\n### Fixed\n\n- Old.\n"


@pytest.mark.parametrize(
    ("text", "version", "words"),
    [
        (CHANGELOG, "1.0.0", "1.0.0 is 'unreleased'; write the date"),
        (CHANGELOG, "1.1", "has no section '## 1.1 (DATE)'"),
        ("## 1.0.0 (2026-01-02)\n\n## 0.9.0 (2026-01-01)\n- x\n", "1.0.0", "is empty"),
    ],
)
def test_a_changelog_that_does_not_tell_the_release_is_refused(text: str, version: str, words: str) -> None:
    with pytest.raises(SystemExit, match=words.replace("(", r"\(").replace(")", r"\)")):
        release.release_notes(text, version)


def test_a_tag_must_name_the_version_of_the_code() -> None:
    release.check_tag(f"v{__version__}", __version__)
    with pytest.raises(SystemExit, match=rf"tag v9.9.9: the code is version {__version__}"):
        release.check_tag("v9.9.9", __version__)


def test_the_site_is_packed_alike_twice(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "page").mkdir(parents=True)
    (site / "index.html").write_text("<h1>mien</h1>")
    (site / "page" / "a.txt").write_text("a")
    release.pack_site(site, tmp_path / "one.tar.gz")
    os.utime(site / "index.html", (1, 1))
    release.pack_site(site, tmp_path / "two.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "one.tar.gz") as archive:
        assert archive.getnames() == [f"mien-{__version__}-docs/index.html", f"mien-{__version__}-docs/page/a.txt"]
    with pytest.raises(SystemExit, match="holds no site; run make docs"):
        release.pack_site(tmp_path / "nothing", tmp_path / "three.tar.gz")


def write_wheel(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"mien_web/site/{name}", data)
    return path


def test_a_page_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    sources = {path.name: path for folder in release.PAGE_SOURCES for path in folder.iterdir()}
    sound = dict.fromkeys(release.PAGE, b"built") | {"page/app.js": sources["app.js"].read_bytes()}
    backend = sources["backend.js"]
    assert backend.parent.parent.name == "web"
    sound["page/backend.js"] = backend.read_bytes()
    path = tmp_path / "mien_web.whl"
    release.check_page(write_wheel(path, sound))
    for changes, words in (
        ({"page/backend.js": b"old"}, "holds another backend.js than .*web.page; run make web"),
        ({"models/mien/model.onnx": b"weights"}, "holds models/mien/model.onnx, which mien brings itself"),
    ):
        with pytest.raises(SystemExit, match=words):
            release.check_page(write_wheel(path, sound | changes))
    del sound["mien/ThirdPartyNotices-onnxruntime.txt"]
    with pytest.raises(SystemExit, match=r"lacks 1 files \(mien/ThirdPartyNotices"):
        release.check_page(write_wheel(path, sound))


def test_requirements_follow_extras_and_leave_out_tools_of_the_tests() -> None:
    core, served = release.requirements(()), release.requirements(("serve",))
    assert {"numpy", "pillow", "onnxruntime"} <= core
    assert "fastapi" not in core
    assert {"fastapi", "uvicorn", "starlette"} <= served  # starlette is FastAPI's own
    assert not {"pytest", "ruff", "mypy"} & release.requirements(("serve", "report", "video"))


def test_checksums_are_what_sha256sum_reads(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    digest = hashlib.sha256(b"one").hexdigest()
    assert release.checksums(tmp_path).splitlines()[0] == f"{digest}  a"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the last commit whose changelog has a date, and a site."""
    folder = tmp_path_factory.mktemp("release") / "mien"
    subprocess.run(["git", "clone", "-q", ROOT, folder], check=True)
    changelog = folder / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8").replace(f"{__version__} (unreleased)", f"{__version__} (2026-01-02)")
    changelog.write_text(text, encoding="utf-8")
    (folder / "src" / "mien" / "version.py").write_text((ROOT / "src" / "mien" / "version.py").read_text())
    run_in_web(find_node(), "build.mjs", "--out", str(folder / "web" / "dist"), "--page", str(folder / "web" / "site"))
    site = folder / "build" / "site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<h1>mien</h1>")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", folder, *who, "commit", "-q", "--allow-empty", "-am", "Date it"], check=True)
    return folder


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the locked tools of a release."""
    folder = tmp_path_factory.mktemp("tools") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "-r", ROOT / "requirements" / "release.txt"], check=True)
    return python


def make(clone: Path, tools: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, clone / "tools" / "release.py", "--tools", tools, *words],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(clone / "src")},
    )  # fmt: skip


@pytest.mark.slow
def test_a_release_is_complete_and_two_of_one_commit_are_equal(clone: Path, tools: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for out in (one, two):
        done = make(clone, tools, "--tag", f"v{__version__}", "--out", str(out))
        assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted([
        f"mien-{__version__}-py3-none-any.whl", f"mien_web-{__version__}-py3-none-any.whl",
        f"mien-{__version__}.tar.gz", f"mien-{__version__}-docs.tar.gz", f"mien-{__version__}.cdx.json",
        "NOTES.md", "SHA256SUMS",
    ])  # fmt: skip
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=one, check=True)
    found = {row["name"]: row for row in components(one)}
    assert found["numpy"]["version"] == metadata.version("numpy")
    assert found["mien/faces/weights/yunet_2023mar.onnx"]["type"] == "machine-learning-model"
    assert found["onnxruntime-web"]["purl"].startswith("pkg:npm/onnxruntime-web@1.")
    assert "pytest" not in found
    done = make(clone, tools, "--out", str(one))
    assert (done.returncode, done.stderr) == (1, f"{one}: exists; move it away, or give another --out\n")
    (clone / "README.md").write_text("changed")
    done = make(clone, tools, "--tag", f"v{__version__}", "--out", str(tmp_path / "three"))
    assert done.returncode == 1
    assert done.stderr.startswith("the working tree has 1 changes")
    assert not (tmp_path / "three").exists()


def components(folder: Path) -> Iterator[dict[str, Any]]:
    yield from json.loads((folder / f"mien-{__version__}.cdx.json").read_text(encoding="utf-8"))["components"]
