"""MkDocs hooks: insert generated tables, and files from outside docs/."""

import dataclasses
import re
from pathlib import Path
from typing import Any

from mien.training.config import NETWORK_DEFAULTS, TrainConfig, flag

ROOT = Path(__file__).parents[1]
#: Pages that are copies of a file of the repository.
COPIED = {"model-card.md": "MODEL_CARD.md", "changelog.md": "CHANGELOG.md"}
#: A relative link or image.
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)]+)\)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Insert the tables and files that a page asks for."""
    name = page.file.src_uri
    if name in COPIED:
        markdown = (ROOT / COPIED[name]).read_text(encoding="utf-8").replace("docs/images/", "images/")
        markdown = _LINK.sub(_site_link, markdown)
    return markdown.replace("{{ settings }}", settings_table())


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Empty the cell if an option has no default; mkdocs-click writes `None` or click's sentinel there."""
    if page.file.src_uri != "reference/cli.md":
        return html
    return html.replace("<code>Sentinel.UNSET</code>", "").replace("<td>None</td>", "<td></td>")


def settings_table() -> str:
    """Return every setting of training as a Markdown table: name, range, default of each network, meaning."""
    names = list(NETWORK_DEFAULTS)
    lines = [f"| setting | what it does | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    for field in dataclasses.fields(TrainConfig):
        given = [NETWORK_DEFAULTS[name].get(field.name, field.default) for name in names]
        values = " | ".join("" if value is None else f"`{value}`" for value in given)
        lines.append(f"| `{field.name}`<br>`{flag(field.name)}` | {field.metadata['help']}{_range(field)} | {values} |")
    return "\n".join(lines)


def _range(field: Any) -> str:
    low, high = field.metadata["low"], field.metadata["high"]
    return "" if low == float("-inf") else f" ({low:g} to {high:g})"


def _site_link(link: re.Match[str]) -> str:
    """Point a link at the site's own page; reduce a link that leaves the site to its text."""
    mark, words, target = link.groups()
    pages = {file: page for page, file in COPIED.items()}
    inside = pages.get(target, target.removeprefix("docs/"))
    return f"{mark}[{words}]({inside})" if mark or target in pages or target.startswith("docs/") else words
