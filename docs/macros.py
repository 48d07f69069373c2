"""Macros of the site: tables made from the code, and files from outside docs/.

A page whose front matter says `render_macros: true` calls them, like `{{ settings() }}`.
"""

import dataclasses
import inspect
import re
from html import escape
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import click

from mien.arguments import flag, to_flags
from mien.cli import VERBS
from mien.cli.help import meaning, option_name
from mien.training.config import TrainConfig
from mien.training.defaults import GROUPS, default_words, defaults_by_network, differing_settings, show_value

ROOT = Path(__file__).parents[1]
#: Pages that are copies of a file of the repository.
COPIED = {"model-card.md": "MODEL_CARD.md", "changelog.md": "CHANGELOG.md"}
#: A relative link or image.
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)]+)\)")


def define_env(env: Any) -> None:
    """Tell the site generator which functions a page may call."""
    macros = {"settings": settings_tables, "commands": commands, "copied": copied, "measurements": measurements}
    for name, macro in macros.items():
        env.macro(macro, name)


def copied(name: str) -> str:
    """Return a Markdown file of the repository, its links pointed at the site's pages."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("docs/images/", "images/")
    return _LINK.sub(_site_link, text)


def measurements() -> str:
    """Return every result of `benchmarks/results` as a heading and a table."""
    spec: Any = spec_from_file_location("measured", ROOT / "benchmarks" / "measured.py")
    module: Any = module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.results_page(module.results()))


def settings_tables() -> str:
    """Return every setting of training as Markdown tables, one per heading: meaning, range, default."""
    configs = defaults_by_network()
    differing = differing_settings()
    fields = {field.name: field for field in dataclasses.fields(TrainConfig)}
    lines = []
    for title, names in GROUPS.items():
        lines += ["", f"## {title}", "", "| setting | what it does | default |", "|---|---|---|"]
        for name in names:
            words = "[by&nbsp;network](#defaults-by-network)" if name in differing else default_words(name)
            meaning = f"{to_flags(fields[name].metadata['help'])}{_range(fields[name])}"
            lines.append(f"| {_code(name)}<br>{_code(flag(name))} | {meaning} | {words} |")
    lines += [
        "",
        "## Defaults by network",
        "",
        f"| setting | {' | '.join(configs)} |",
        "|---" * (len(configs) + 1) + "|",
    ]
    lines += [
        f"| `{name}` | {' | '.join(show_value(getattr(config, name)) for config in configs.values())} |"
        for name in differing
    ]
    return "\n".join(lines)


def _range(field: Any) -> str:
    low, high = field.metadata["low"], field.metadata["high"]
    return "" if low == float("-inf") else f" ({low:g} to {high:g})"


def commands() -> str:
    """Return the help of every verb as Markdown: its text, its call, and its options under their headings."""
    lines = []
    for name in VERBS:
        verb = import_module(f"mien.cli.verbs.{name}").command
        ctx = click.Context(verb, info_name=f"mien {name}", help_option_names=["-h", "--help"])
        call = " ".join([ctx.command_path, *verb.collect_usage_pieces(ctx)])
        lines += ["", f"## mien {name}", "", "```sh", call, "```", "", inspect.cleandoc(verb.help or "")]
        for title, options in verb.options_by_heading(ctx).items():
            lines += ["", f"| {title} | |", "|---|---|"]
            lines += [f"| {_code(option_name(one, ctx))} | {escape(meaning(one))} |" for one in options]
    return "\n".join(lines)


def _code(text: str) -> str:
    """Return code for a table's cell: a name is not broken, and a bar does not end the cell."""
    words = (f'<span style="white-space: nowrap">{escape(word)}</span>' for word in text.split(" "))
    return f"<code>{' '.join(words).replace('|', '&#124;<wbr>')}</code>"


def _site_link(link: re.Match[str]) -> str:
    """Point a link at the site's own page; reduce a link that leaves the site to its text."""
    mark, words, target = link.groups()
    pages = {file: page for page, file in COPIED.items()}
    inside = pages.get(target, target.removeprefix("docs/"))
    return f"{mark}[{words}]({inside})" if mark or target in pages or target.startswith("docs/") else words
