"""Write a web page that reads images with a model in the browser: `mien export --page`.

A static site: any host of files serves it, and no image leaves the browser. Node builds the page and its library in
`web/`; the package mien-web (`pip install 'mien[page]'`) brings them built. Model and face detector are added here.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from mien.errors import ConfigError, ExportError, MissingExtraError, OutputError
from mien.faces import yunet
from mien.inference.bundle import CARD_FILE, CONFIG_FILE, MODEL_FILE, Bundle, find_shipped, load_bundle
from mien.inference.reader import Reader
from mien.io.atomic import new_folder, readable_errors, refuse_existing, to_bytes
from mien.version import __version__

#: A third of the bytes of the other shipped model.
DEFAULT_MODEL = "mien-int8"
#: In a clone: where `make web` writes the page.
CLONE = Path(__file__).parents[4] / "web" / "site"
#: In a clone: what that page is built from.
SOURCES = (
    Path(__file__).parents[2] / "server" / "page",
    *(CLONE.parent / name for name in ("page", "root", "src", "build.mjs", "package-lock.json")),
)
PACKAGE = "mien-web"
INDEX, MODELS, LIBRARY = "index.html", "models", "mien"
LISTING, MODEL_LISTING, SETTINGS = "files.json", "models.json", "site.json"
#: What is written here, also if the page that was built has one.
_OWN = frozenset({MODELS, LISTING, SETTINGS})
#: Files for people, which no page loads: licences and model cards.
_FOR_PEOPLE = re.compile(r"LICENSE|.*\.(txt|md)$")


@dataclass(frozen=True)
class PageExport:
    """A page that was written.

    Attributes:
        folder: the site.
        models: names of its models; the first is the default.
        source: the folder that the page was copied from.
        size: bytes of all that a first visit loads.
        compressed: the same bytes if the host compresses them (gzip).
    """

    folder: Path
    models: tuple[str, ...]
    source: Path
    size: int
    compressed: int


def export_page(
    out: str | os.PathLike[str],
    models: Sequence[str | os.PathLike[str]] | None = None,
    notice: str | None = "",
) -> PageExport:
    """Write a static site that reads images in the browser.

    The page checks the sha256 of all model files before it uses them. `files.json` lists all files that it may load,
    with their sha256.

    Args:
        out: the new folder.
        models: shipped models, bundles or run folders; the first is the default of the page. Default: the shipped
            model in 8 bits, `mien-int8`.
        notice: what the page says before it opens the camera and asks for consent; empty is its own text, None opens
            the camera without asking.

    Returns:
        What was written.

    Raises:
        MissingExtraError: the page is not installed.
        ExportError: the page in `web/site` is older than its sources, or the installed one is of another version.
        BundleError: a model cannot be read.
        DetectorError: the weights of the face detector are missing or damaged.
        ConfigError: two models have one name.
        OutputError: `out` exists, lies in the page that is copied, or cannot be written.

    Examples:
        >>> from mien.training.export.page import export_page
        >>> export_page("site", ["mien-runs/data-residual"])  # doctest: +SKIP
    """
    out = Path(out)
    refuse_existing(out)
    page = find_page()
    if out.resolve().is_relative_to(page.resolve()):
        raise OutputError(f"{out}: lies in the page that is copied ({page}); choose a folder outside it")
    bundles = _by_name((find_shipped(DEFAULT_MODEL),) if models is None else models)
    detector = yunet.load_weights(yunet.WEIGHTS)
    with new_folder(out) as folder, readable_errors(out):
        _copy_page(page, folder)
        (folder / LIBRARY / yunet.WEIGHTS.name).write_bytes(detector)
        shutil.copyfile(yunet.LICENCE, folder / LIBRARY / yunet.LICENCE.name)
        digests = {name: _copy_bundle(bundle, folder / MODELS / name) for name, bundle in bundles.items()}
        listing = {"default": next(iter(digests)), "models": list(digests), "sha256": digests}
        (folder / MODELS / MODEL_LISTING).write_bytes(_to_json(listing))
        (folder / SETTINGS).write_bytes(_to_json({"notice": notice}) + b"\n")
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _loadable(folder)}
        hashes = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
        (folder / LISTING).write_bytes(to_bytes(json.dumps(hashes, indent=1) + "\n"))
    compressed = sum(len(gzip.compress(data, 6)) for data in files.values())
    return PageExport(out, tuple(digests), page, sum(map(len, files.values())), compressed)


def find_page() -> Path:
    """Return the folder of the page that node built: of this clone if it was built there, or of the package mien-web.

    Raises:
        MissingExtraError: there is none.
        ExportError: the clone's page is older than its sources, or the package is of another version of mien.
    """
    if (CLONE / INDEX).is_file():
        _refuse_old(CLONE)
        return CLONE
    try:
        import mien_web
    except ImportError:
        built_here = ", unless make web has built it in this clone," if (CLONE.parent / "build.mjs").is_file() else ""
        raise MissingExtraError(f"exporting a page{built_here}", "page") from None
    version = metadata.version(PACKAGE)
    if version != __version__:
        raise ExportError(
            f"{PACKAGE} {version}: is the page of another version of mien than this {__version__}; "
            f"pip install '{PACKAGE}=={__version__}'"
        )
    return Path(mien_web.SITE)


def _refuse_old(page: Path) -> None:
    """Refuse a page that was built before one of its sources changed: it would be taken for the page of this clone."""
    built = (page / INDEX).stat().st_mtime_ns
    sources = (path for source in SOURCES for path in (source, *source.rglob("*")) if path.is_file())
    changed = sorted(path for path in sources if path.stat().st_mtime_ns > built)
    if changed:
        raise ExportError(f"{page}: was built before {changed[0]} changed; run make web")


def _by_name(models: Sequence[str | os.PathLike[str]]) -> dict[str, Bundle]:
    """Return the bundles by the names that they have on the page, of letters that any host and URL takes."""
    found: dict[str, Bundle] = {}
    for model in models:
        bundle = load_bundle(model)
        Reader(bundle, device="cpu", detect=False)  # a graph that cannot be opened is an error here, not in the browser
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", bundle.config.name).strip("-") or "model"
        if name in found:
            raise ConfigError(f"{bundle.path}: another model of the page is named {name}, too; leave out one")
        found[name] = bundle
    if not found:
        raise ConfigError("`models=()`: give at least one model")
    return found


def _copy_page(page: Path, folder: Path) -> None:
    """Copy the page that was built; unlike `shutil.copytree`, stop at the first file that cannot be written."""
    for path in sorted(page.rglob("*")):
        place = path.relative_to(page)
        if _OWN.isdisjoint(place.parts) and path.is_file():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place)


def _copy_bundle(bundle: Bundle, folder: Path) -> str:
    """Write the files of a bundle into a new folder; return the sha256 of its config, which holds that of its graph."""
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(bundle.model)
    for name in (CONFIG_FILE, CARD_FILE):
        if (bundle.path / name).is_file():
            shutil.copyfile(bundle.path / name, folder / name)
    return hashlib.sha256((folder / CONFIG_FILE).read_bytes()).hexdigest()


def _to_json(value: Mapping[str, object]) -> bytes:
    """Return JSON as `make web` writes it, so that the same page has the same sha256."""
    return to_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def _loadable(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and not _FOR_PEOPLE.match(path.name)]
