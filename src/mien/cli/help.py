"""Help pages of the verbs: options under headings, each with its default, readable at 80 columns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.types import FloatParamType, IntParamType

from mien.cli.completion import offer_names

#: Options by heading, each by the name of its parameter. Those that no heading names stand under the last, "Options".
Headings = Mapping[str, Sequence[str]]

#: Columns for the name of an option; a longer name has a line of its own.
_NAME_COLUMNS = 26


class Verb(click.Command):
    """A verb whose help page has headings.

    Args:
        headings: its options by heading.
        tables: called for tables at the end of the page; gives lines by title.
    """

    def __init__(
        self, *arguments: Any, headings: Headings | None = None,
        tables: Callable[[], Mapping[str, Sequence[str]]] | None = None, **others: Any,
    ) -> None:  # fmt: skip
        super().__init__(*arguments, **others)
        self.headings, self.tables = headings or {}, tables
        for parameter in self.params:
            if parameter.metavar is None and isinstance(parameter.type, IntParamType | FloatParamType):
                parameter.metavar = "N"
            offer_names(parameter)

    def options_by_heading(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return the options of each heading, in the order of the page."""
        params = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
        left = {option.name: option for option in params}
        found = {title: [left.pop(name) for name in names if name in left] for title, names in self.headings.items()}
        found["Options" if not found else "Other"] = list(left.values())
        return {title: options for title, options in found.items() if options}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, then the tables."""
        groups = {
            title: [(option_name(option, ctx), meaning(option)) for option in options]
            for title, options in self.options_by_heading(ctx).items()
        }
        lengths = (len(name) for rows in groups.values() for name, _ in rows)
        width = max(length for length in lengths if length <= _NAME_COLUMNS)
        for title, rows in groups.items():
            with formatter.section(title):
                # Padded, so that the columns of all sections are in line.
                formatter.write_dl([(name.ljust(width), text) for name, text in rows], col_max=width)
        for title, lines in (self.tables() if self.tables else {}).items():
            with formatter.section(title):
                for line in lines:
                    formatter.write(f"{'':>{formatter.current_indent}}{line}\n")


def verb(
    name: str, headings: Headings | None = None, tables: Callable[[], Mapping[str, Sequence[str]]] | None = None
) -> Callable[[Callable[..., Any]], Verb]:
    """Make a function the verb `name`; see `Verb`."""
    return click.command(name, cls=Verb, headings=headings, tables=tables)


def option_name(option: click.Option, ctx: click.Context) -> str:
    """Return how an option is written, as in `--out RUN` and `--flip / --no-flip`."""
    names = " / ".join([", ".join(option.opts), *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.make_metavar(ctx)}"


def meaning(option: click.Option) -> str:
    """Return what an option does, with its default and its range."""
    notes = "; ".join(
        filter(None, (_default(option), _useful_range(option.type), "required" if option.required else ""))
    )
    return f"{option.help or ''}  [{notes}]" if notes else option.help or ""


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):  # in words, such as "by network"
        return option.show_default if option.show_default.startswith("by ") else f"default: {option.show_default}"
    value = option.default
    if option.is_flag or option.required or not isinstance(value, str | int | float | Path):
        return ""
    return f"default: {value:g}" if isinstance(value, float) else f"default: {value}"


def _useful_range(kind: "click.ParamType[Any]") -> str:
    """Return the range of a number in words, unless anybody would guess it."""
    if isinstance(kind, click.IntRange | click.FloatRange) and kind.max is None and (kind.min or 0) <= 1:
        return ""
    return range_words(kind)


def range_words(kind: "click.ParamType[Any]") -> str:
    """Return the range of a number in words; empty if it has none."""
    if not isinstance(kind, click.IntRange | click.FloatRange):
        return ""
    low, high = kind.min, kind.max
    if low is None or high is None:
        return "" if low is None else f"{'above' if kind.min_open else 'at least'} {low:g}"
    if kind.min_open and kind.max_open:
        return f"between {low:g} and {high:g}"
    return f"above {low:g}, at most {high:g}" if kind.min_open else f"from {low:g} to {high:g}"
