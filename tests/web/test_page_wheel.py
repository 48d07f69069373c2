"""The wheel of mien-web, installed without node: `mien export --page` writes a page that answers as Python does."""

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from environments import ROOT, build, environment, run
from golden_answers import TOLERANCE
from page_tab import Visit
from photographs import ASTRONAUT
from served_page import check_answers, served
from web_build import build_page_wheel

import mien

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both wheels."""
    out = tmp_path_factory.mktemp("wheels")
    build_page_wheel(out)
    build(ROOT, out, "--wheel")
    return out


@pytest.fixture(scope="module")
def installed(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts folder of an environment with mien[page]."""
    (wheel,) = wheels.glob("mien-*.whl")
    return environment(tmp_path_factory.mktemp("venv") / "page", f"{wheel}[page]", links=wheels)


def test_it_holds_the_page_and_all_licences_but_no_model(wheels: Path) -> None:
    (wheel,) = wheels.glob("mien_web-*.whl")
    assert wheel.name == f"mien_web-{mien.__version__}-py3-none-any.whl"
    names = {name.removeprefix("mien_web/site/") for name in zipfile.ZipFile(wheel).namelist()}
    licences = {"LICENSE", "LICENSE-onnxruntime.txt", "ThirdPartyNotices-onnxruntime.txt"}
    assert {"index.html", "page/app.js", *(f"mien/{name}" for name in licences)} <= names
    assert not [name for name in names if name.endswith((".onnx", "files.json", "site.json", ".map", ".pyc"))]
    assert wheel.stat().st_size < 5_000_000


def test_a_page_without_node_answers_as_python(
    installed: Path, start_browser: Callable[..., Any], visit: Callable[..., Visit], tmp_path: Path
) -> None:
    path = {"PATH": str(installed)}
    assert shutil.which("node", path=path["PATH"]) is None
    done = run(installed / "mien", "export", "--page", "site", cwd=tmp_path, env=path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "site-packages/mien_web/site" in done.stdout.replace("\\", "/")
    ASTRONAUT.save(tmp_path / "astronaut.png")
    with served(tmp_path / "site") as address:
        page = visit(start_browser(), address)
        page.add(tmp_path / "astronaut.png")
        check_answers(page, [tmp_path / "astronaut.png"], "mien-int8", TOLERANCE["mien-int8"])


def test_the_doctor_knows_it_and_another_version_is_one_sentence(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "mien", "doctor", "--json", "-", cwd=tmp_path)
    (row,) = [row for row in json.loads(done.stdout)["checks"] if row["name"] == "extra page"]
    assert (row["state"], row["text"]) == ("ok", f"mien export --page: mien-web {mien.__version__}")
    packages = next(installed.parent.glob("lib/python*/site-packages"))
    about = packages / f"mien_web-{mien.__version__}.dist-info" / "METADATA"
    whole = about.read_text("utf-8")
    about.write_text(whole.replace(f"Version: {mien.__version__}", "Version: 0.0.1"), "utf-8")
    try:
        done = run(installed / "mien", "export", "--page", "site", cwd=tmp_path)
    finally:
        about.write_text(whole, "utf-8")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.endswith(f"pip install 'mien-web=={mien.__version__}'\n")
    assert not (tmp_path / "site").exists()


def test_a_wheel_without_a_page_is_not_built(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "web" / "wheel", tmp_path / "web" / "wheel")
    (tmp_path / "src" / "mien").mkdir(parents=True)
    shutil.copyfile(ROOT / "src" / "mien" / "version.py", tmp_path / "src" / "mien" / "version.py")
    done = run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, tmp_path / "web" / "wheel")
    assert done.returncode != 0
    assert "mien-web cannot be built" in done.stdout + done.stderr
    assert "holds no page; run make web" in done.stdout + done.stderr
