"""Build hook: put the page that node has built into the wheel, without what `mien export --page` adds to it."""

import json
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

#: Models, the face detector, settings and the list of files: mien has or writes them.
LEFT_OUT = ("models/", "mien/yunet_2023mar.onnx", "mien/LICENSE-YuNet.txt", "site.json", "files.json")


class PageHook(BuildHookInterface):
    """Add `web/site` to the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files; SystemExit with one line if they are missing or of another version."""
        web = Path(self.root).parent
        site = web / "site"
        if not (site / "index.html").is_file():
            raise SystemExit(f"mien-web cannot be built: {site} holds no page; run make web")
        library = json.loads((web / "package.json").read_text(encoding="utf-8"))["version"]
        if library != self.metadata.version:
            raise SystemExit(
                f"mien-web cannot be built: web/package.json has version {library}, src/mien/version.py "
                f"{self.metadata.version}; give both the same"
            )
        names = {path.relative_to(site).as_posix(): path for path in sorted(site.rglob("*")) if path.is_file()}
        build_data["force_include"].update(
            {str(path): f"mien_web/site/{name}" for name, path in names.items() if not name.startswith(LEFT_OUT)}
        )
