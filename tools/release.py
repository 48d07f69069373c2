"""Make everything that a release publishes, into one new folder: `make release`. Uploads nothing.

The folder gets the wheels of mien and of mien-web, the sdist, the documentation site, an SBOM (CycloneDX), the section
of CHANGELOG.md, and SHA256SUMS over all of them. Two builds of one commit are equal, byte by byte.

`make release` makes the environments, the site and, with node, the page that mien-web carries. Run this file with the
interpreter that has mien with all extras.
"""

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mien.version import __version__

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "build" / "site"
#: All extras but Ray's, which needs Ray in the environment.
EXTRAS = ("train", "report", "parquet", "video", "serve", "tune", "tune-db", "tensorboard")
#: What the wheel of mien-web must hold: the page, the library, and the licences of what it carries.
PAGE = {"index.html", "page/app.js"} | {
    f"mien/{name}" for name in (
        "mien.js", "worker.js", "ort-wasm-simd-threaded.wasm", "LICENSE", "LICENSE-onnxruntime.txt",
        "ThirdPartyNotices-onnxruntime.txt",
    )
}  # fmt: skip
#: Sources of the modules in its folder `page/`: the second replaces those of the first.
PAGE_SOURCES = (ROOT / "src" / "mien" / "server" / "page", ROOT / "web" / "page")
#: Endings of the models that travel inside the wheel.
MODELS = (".onnx", ".npz")


def release_notes(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading; SystemExit if it is missing or has no date."""
    found = re.search(
        rf"^## {re.escape(version)} \(([^)]*)\)\n(.*?)(?=^## |\Z)", changelog, flags=re.MULTILINE | re.DOTALL
    )
    if found is None:
        raise SystemExit(f"CHANGELOG.md: has no section '## {version} (DATE)'; write what changed")
    date, text = found.groups()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", date) is None:
        raise SystemExit(f"CHANGELOG.md: {version} is '{date}'; write the date of the release, like 2026-11-29")
    if not text.strip():
        raise SystemExit(f"CHANGELOG.md: the section of {version} is empty; write what changed")
    return text.strip() + "\n"


def check_tag(tag: str, version: str) -> None:
    """Refuse a tag that does not name the version of the code."""
    if tag != f"v{version}":
        raise SystemExit(f"tag {tag}: the code is version {version}; tag v{version}, or change src/mien/version.py")


def check_clean() -> None:
    """Refuse a working tree that differs from its commit."""
    changed = _git("status", "--porcelain").splitlines()
    if changed:
        raise SystemExit(f"the working tree has {len(changed)} changes ({changed[0].strip()}, …); commit them first")


def build(folder: Path, python: Path) -> list[Path]:
    """Build the sdist, and the wheel out of the sdist; return both."""
    _run_build(python, folder, ROOT)
    return [_only(folder, "*.tar.gz"), _only(folder, "mien-*.whl")]


def build_page(folder: Path, python: Path) -> Path:
    """Build the wheel of mien-web with the page that `make web` has written; return it."""
    if not (ROOT / "web" / "site" / "index.html").is_file():
        raise SystemExit(f"{ROOT / 'web' / 'site'}: holds no page; run make web")
    _run_build(python, folder, "--wheel", ROOT / "web" / "wheel")
    return _only(folder, "mien_web-*.whl")


def check_page(wheel: Path) -> None:
    """Refuse a wheel of mien-web that lacks a file, has a model, or was built from other sources than these."""
    with zipfile.ZipFile(wheel) as inside:
        files = {name.removeprefix("mien_web/site/"): inside.read(name) for name in inside.namelist()}
    if lost := sorted(PAGE - files.keys()):
        raise SystemExit(f"{wheel.name}: lacks {len(lost)} files ({lost[0]}, …); run make web")
    if models := sorted(name for name in files if name.endswith(MODELS)):
        raise SystemExit(f"{wheel.name}: holds {models[0]}, which mien brings itself")
    for source in {path.name: path for folder in PAGE_SOURCES for path in folder.glob("*.*s")}.values():
        if files.get(f"page/{source.name}", source.read_bytes()) != source.read_bytes():
            raise SystemExit(f"{wheel.name}: holds another {source.name} than {source.parent}; run make web")


def check_wheel(wheel: Path) -> None:
    """Refuse a wheel that lacks a tracked file of the package, or the weights of the face detector."""
    tracked = {name.removeprefix("src/") for name in _git("ls-files", "src/mien").splitlines()}
    with zipfile.ZipFile(wheel) as inside:
        names = set(inside.namelist())
    wanted = tracked | {"mien/faces/weights/yunet_2023mar.onnx"}
    if lost := sorted(wanted - names):
        raise SystemExit(f"{wheel.name}: lacks {len(lost)} files ({lost[0]}, …)")


def pack_site(site: Path, target: Path) -> None:
    """Pack the documentation site: sorted, with the time of the commit and no owner, so that builds are equal."""
    if not (site / "index.html").is_file():
        raise SystemExit(f"{site}: holds no site; run make docs")
    stamp = int(_environment()["SOURCE_DATE_EPOCH"])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(str(Path(f"mien-{__version__}-docs") / path.relative_to(site)))
                data = path.read_bytes()
                if path.name.endswith(".gz"):  # gzip stores the time of its making
                    data = gzip.compress(gzip.decompress(data), mtime=stamp)
                entry.size, entry.mtime, entry.mode = len(data), stamp, 0o644
                archive.addfile(entry, io.BytesIO(data))
    target.write_bytes(gzip.compress(packed.getvalue(), mtime=stamp))


def requirements(extras: tuple[str, ...]) -> set[str]:
    """Return the canonical names of all distributions that mien with these extras needs here, its own left out."""
    seen: set[tuple[str, str]] = set()
    todo = [("mien", extra) for extra in ("", *extras)]
    while todo:
        name, extra = todo.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        for line in metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                todo += [(canonicalize_name(needed.name), one) for one in ("", *needed.extras)]
    return {name for name, _ in seen} - {"mien"}


def sbom(python: Path, wheel: Path) -> dict[str, Any]:
    """Return the CycloneDX document of what mien installs: packages with versions and licences, and its models.

    Args:
        python: an interpreter that has cyclonedx-bom; it looks at the environment that runs this file.
        wheel: holds the models.
    """
    made = subprocess.run(
        [python, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--short-PURLs", "--mc-type", "library",
         "--pyproject", ROOT / "pyproject.toml", sys.executable],
        check=True, capture_output=True, text=True, env=_environment(),
    )  # fmt: skip
    document: dict[str, Any] = json.loads(made.stdout)
    document["metadata"]["component"]["version"] = __version__
    needed = requirements(EXTRAS)
    kept = [one for one in document["components"] if canonicalize_name(one["name"]) in needed]
    if lost := needed - {canonicalize_name(one["name"]) for one in kept}:
        raise SystemExit(f"the SBOM lacks {', '.join(sorted(lost))}; install all extras into this environment")
    refs = {one["bom-ref"] for one in kept} | {document["metadata"]["component"]["bom-ref"]}
    document["dependencies"] = [
        {**row, "dependsOn": [one for one in row.get("dependsOn", []) if one in refs]}
        for row in document["dependencies"] if row["ref"] in refs
    ]  # fmt: skip
    document["components"] = kept + _models(wheel) + _page_parts()
    return document


def _page_parts() -> list[dict[str, Any]]:
    """Return mien-web and what it carries: onnxruntime-web in the version that the lock of npm has."""
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text(encoding="utf-8"))
    version = lock["packages"]["node_modules/onnxruntime-web"]["version"]
    parts = [f"pkg:pypi/mien-web@{__version__}", f"pkg:npm/onnxruntime-web@{version}"]
    return [
        {"type": "library", "bom-ref": purl, "name": purl.split("/")[1].split("@")[0], "version": purl.split("@")[1],
         "purl": purl, "licenses": [{"license": {"id": "MIT"}}]}
        for purl in parts
    ]  # fmt: skip


def _models(wheel: Path) -> list[dict[str, Any]]:
    with zipfile.ZipFile(wheel) as inside:
        names = sorted(name for name in inside.namelist() if name.endswith(MODELS))
        digests = {name: hashlib.sha256(inside.read(name)).hexdigest() for name in names}
    return [
        {"type": "machine-learning-model", "bom-ref": name, "name": name, "licenses": [{"license": {"id": "MIT"}}],
         "hashes": [{"alg": "SHA-256", "content": digest}]}
        for name, digest in digests.items()
    ]  # fmt: skip


def checksums(folder: Path) -> str:
    """Return the lines that `sha256sum --check` reads, for all files of a folder."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(folder.iterdir())
    )


def make(out: Path, python: Path, tag: str | None) -> None:
    """Make all files of a release in a new folder. A tag is compared with the version, and the tree must be clean."""
    if out.exists():
        raise SystemExit(f"{out}: exists; move it away, or give another --out")
    if tag is not None:
        check_tag(tag, __version__)
        check_clean()
    notes = release_notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), __version__)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as name:
        folder = Path(name, "release")
        folder.mkdir()
        _, wheel = build(folder, python)
        check_wheel(wheel)
        check_page(build_page(folder, python))
        pack_site(SITE, folder / f"mien-{__version__}-docs.tar.gz")
        text = json.dumps(sbom(python, wheel), indent=1, sort_keys=True, ensure_ascii=False)
        (folder / f"mien-{__version__}.cdx.json").write_text(text + "\n", encoding="utf-8")
        (folder / "NOTES.md").write_text(notes, encoding="utf-8")
        (folder / "SHA256SUMS").write_text(checksums(folder), encoding="utf-8")
        folder.rename(out)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>12,}  {path.name}")


def _environment() -> dict[str, str]:
    """Return the environment in which builds of one commit are equal."""
    return {**os.environ, "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct").strip()}


def _git(*words: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True, text=True).stdout


def _run_build(python: Path, folder: Path, *what: object) -> None:
    command = [str(python), "-m", "build", "--outdir", str(folder), *map(str, what)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment())


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def main() -> None:
    """Parse the command line and make the release."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="the new folder  [dist]")
    parser.add_argument("--tag", help="the tag to be released, like v0.2.0; without it this is a rehearsal")
    parser.add_argument(
        "--tools", type=Path, default=Path(sys.executable), metavar="PYTHON",
        help="interpreter that has build and cyclonedx-bom  [this one]",
    )  # fmt: skip
    chosen = parser.parse_args()
    make(chosen.out, chosen.tools, chosen.tag)


if __name__ == "__main__":
    main()
