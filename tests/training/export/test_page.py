"""A web page is written whole or not at all, from a page of this version of mien. What it answers: tests/web."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from bundles import rewrite

import mien
from mien.errors import BundleError, ConfigError, DetectorError, ExportError, MissingExtraError, OutputError
from mien.faces import yunet
from mien.inference.bundle import CONFIG_FILE, MODEL_FILE, SHIPPED
from mien.training.export import page as module
from mien.training.export.page import export_page, find_page

Call = Callable[..., tuple[int, str, str]]


def write_page(folder: Path) -> Path:
    """Write what stands for a page that node has built, with the model that `make web` puts into it."""
    for name in ("index.html", "page/app.js", "mien/worker.js", "mien/LICENSE", "models/old/config.json", "files.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The built page of this clone."""
    folder = write_page(tmp_path / "clone")
    monkeypatch.setattr(module, "CLONE", folder)
    return folder


@pytest.fixture
def no_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLONE", tmp_path / "nowhere")


def install(place: Path, version: str) -> Path:
    """Write an installed mien-web of a version; return its page."""
    write_page(place / "mien_web" / "site")
    code = 'from pathlib import Path\nSITE = Path(__file__).parent / "site"\n'
    (place / "mien_web" / "__init__.py").write_text(code, encoding="utf-8")
    about = place / f"mien_web-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: mien-web\nVersion: {version}\n", encoding="utf-8")
    return place / "mien_web" / "site"


def test_a_page_holds_the_model_the_detector_and_the_sha256_of_all(tmp_path: Path) -> None:
    found = export_page(tmp_path / "out" / "site")
    site = found.folder
    names = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    listed = json.loads((site / "files.json").read_text("utf-8"))
    people = {"mien/LICENSE", f"mien/{yunet.LICENCE.name}", "models/mien-int8/CARD.md"}
    assert set(listed) == names.keys() - people - {"files.json"}
    assert list(listed) == sorted(listed)
    assert listed == {name: hashlib.sha256(names[name].read_bytes()).hexdigest() for name in listed}
    assert listed[f"mien/{yunet.WEIGHTS.name}"] == yunet.SHA256
    assert "models/old/config.json" not in names
    for name in (MODEL_FILE, CONFIG_FILE):
        copy = names[f"models/mien-int8/{name}"].read_bytes()
        assert copy == (SHIPPED / "mien-int8" / name).read_bytes()
    models = json.loads((site / "models" / "models.json").read_text("utf-8"))
    digest = listed["models/mien-int8/config.json"]
    assert models == {"default": "mien-int8", "models": ["mien-int8"], "sha256": {"mien-int8": digest}}
    assert found.models == ("mien-int8",)
    assert found.size == sum(names[name].stat().st_size for name in listed)
    assert 0 < found.compressed < found.size
    assert [path.name for path in site.parent.iterdir()] == ["site"]


@pytest.mark.parametrize(
    ("name", "folder"),
    [("faces of 2026", "faces-of-2026"), ("../../up", "up"), ("émotions?#%2e", "motions-2e"), ("笑顔", "model")],
)
def test_a_model_of_any_name_has_a_folder_of_plain_letters(
    name: str, folder: str, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    bundle = make_bundle()
    rewrite(bundle, name=name)
    assert export_page(tmp_path / "site", [bundle]).models == (folder,)
    assert sorted(path.name for path in (tmp_path / "site" / "models").iterdir()) == sorted([folder, "models.json"])


def test_several_models(make_bundle: Callable[..., Path], tmp_path: Path) -> None:
    assert export_page(tmp_path / "site", [make_bundle(), "mien"]).models == ("linear", "mien")
    with pytest.raises(ConfigError, match="another model of the page is named linear, too"):
        export_page(tmp_path / "two", [make_bundle(), make_bundle()])
    with pytest.raises(ConfigError, match="give at least one model"):
        export_page(tmp_path / "two", [])


@pytest.mark.parametrize(
    ("words", "notice"),
    [([], ""), (["--notice", " Wer hier steht, wird gelesen: 笑顔 "], "Wer hier steht, wird gelesen: 笑顔"),
     (["--no-notice"], None)],
)  # fmt: skip
def test_the_notice_before_the_camera_opens(
    words: list[str], notice: str | None, make_bundle: Callable[..., Path], tmp_path: Path, call: Call
) -> None:
    code, _, err = call("export", "--page", tmp_path / "site", "--model", make_bundle(), *words)
    assert (code, err) == (0, "")
    assert json.loads((tmp_path / "site" / "site.json").read_text("utf-8")) == {"notice": notice}


def test_nothing_half_written_is_left(
    make_bundle: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError, match="clone: already exists"):
        export_page(tmp_path / "clone")
    with pytest.raises(BundleError, match="nobody: no such model"):
        export_page(tmp_path / "site", ["nobody"])
    with pytest.raises(BundleError):
        export_page(tmp_path / "site", [make_bundle(graph=b"these are no weights")])
    broken = make_bundle()
    (broken / MODEL_FILE).write_bytes(b"other weights")
    with pytest.raises(BundleError, match="sha256 is"):
        export_page(tmp_path / "site", [broken])
    with monkeypatch.context() as patched, pytest.raises(DetectorError, match="weights are missing"):
        patched.setattr(yunet, "WEIGHTS", tmp_path / "none.onnx")
        export_page(tmp_path / "site")
    with monkeypatch.context() as patched, pytest.raises(OutputError, match="site: cannot be written"):
        patched.setattr(yunet, "LICENCE", tmp_path / "none.txt")
        export_page(tmp_path / "site")
    assert sorted(tmp_path.iterdir()) == before


def test_without_the_extra_it_is_one_sentence(no_clone: None, tmp_path: Path, call: Call) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MissingExtraError, match=re.escape("pip install 'mien[page]'")):
        find_page()
    code, out, err = call("export", "--page", tmp_path / "site")
    assert (code, out) == (2, "")
    assert err == "mien: exporting a page needs an optional part of mien: pip install 'mien[page]'\n"
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / "build.mjs").touch()
    _, _, err = call("export", "--page", tmp_path / "site")
    assert err.startswith("mien: exporting a page, unless make web has built it in this clone, needs an optional part")


def test_a_page_older_than_a_source_is_refused(clone: Path, tmp_path: Path, call: Call) -> None:
    built = (clone / "index.html").stat().st_mtime_ns
    sources = [path for source in module.SOURCES for path in (source, *source.rglob("*")) if path.is_file()]
    names = {path.name for path in sources}
    assert {"webcam.js", "backend.js", "service-worker.js", "mien.ts", "build.mjs", "package-lock.json"} <= names
    before = sorted(tmp_path.iterdir())
    oldest = min(path.stat().st_mtime_ns for path in sources)
    os.utime(clone / "index.html", ns=(oldest - 1, oldest - 1))
    code, out, err = call("export", "--page", tmp_path / "site")
    assert (code, out) == (2, "")
    assert err == f"mien: {clone}: was built before {min(sources)} changed; run make web\n"
    assert sorted(tmp_path.iterdir()) == before
    os.utime(clone / "index.html", ns=(built, built))
    assert find_page() == clone


def test_the_package_is_found_in_the_version_of_mien_alone(
    no_clone: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    monkeypatch.delitem(sys.modules, "mien_web", raising=False)
    page = install(tmp_path / "fits", mien.__version__)
    with monkeypatch.context() as patched:
        patched.syspath_prepend(tmp_path / "fits")
        assert find_page() == page
        patched.delitem(sys.modules, "mien_web")
    install(tmp_path / "old", "0.0.1")
    monkeypatch.syspath_prepend(tmp_path / "old")
    with pytest.raises(ExportError):
        find_page()
    code, _, err = call("export", "--page", tmp_path / "site")
    monkeypatch.delitem(sys.modules, "mien_web")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith("mien: mien-web 0.0.1: is the page of another version of mien than this ")
    assert err.endswith(f"pip install 'mien-web=={mien.__version__}'\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["a.keras", "--page", "DIR"], "--page: takes no MODEL; give --model a.keras"),
        (["--page", "DIR", "--out", "b"], "--out: is not for --page; leave it out"),
        (["--page", "DIR", "--int8"], "--int8: is not for --page; leave it out"),
        (["a.keras", "--model", "mien", "--out", "b"], "--model: is for --page DIR; see mien export --help"),
        (["--page", "CLONE"], "already exists; choose another name, or remove it first"),
        (["--page", "INSIDE"], "choose a folder outside it"),
        (["--page", "DIR", "--model", "miem"], "miem: no such model; did you mean 'mien'?"),
        (["a.keras", "--no-notice", "--out", "b"], "--no-notice: is for --page DIR; see mien export --help"),
        (["--page", "DIR", "--notice", "x", "--no-notice"], "--notice and --no-notice: give only one of them"),
        ([], "export: give MODEL; see mien export --help"),
    ],
)
def test_bad_calls_are_one_line(words: list[str], error: str, tmp_path: Path, clone: Path, call: Call) -> None:
    places = {"DIR": str(tmp_path / "site"), "CLONE": str(clone), "INSIDE": str(clone / "page" / "mine")}
    code, out, err = call("export", *(places.get(word, word) for word in words))
    assert (code, out) == (2, "")
    assert error in err
    assert err.count("\n") == 1
    assert not (tmp_path / "site").exists()


def test_a_page_that_cannot_be_copied_is_one_short_line(
    tmp_path: Path, clone: Path, as_nobody: Callable[[], AbstractContextManager[None]]
) -> None:
    for number in range(50):
        (clone / "page" / f"{number}.js").touch(mode=0)
    export_page(tmp_path / "open")  # and every module is imported
    place = tmp_path / "others"
    place.mkdir()
    place.chmod(0o777)
    with as_nobody(), pytest.raises(OutputError, match="Permission denied") as caught:
        export_page(place / "site")
    assert len(str(caught.value)) < len(str(place)) + 100
