"""Say what is wrong with a call in one line that names the argument and the fix."""

import re
from pathlib import Path
from typing import NoReturn

import click

from mien.cli.help import range_words
from mien.text import did_you_mean, nearest


def describe(error: click.ClickException) -> str:
    """Return the line for a call that click refused."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    where = ctx.command_path if ctx else "mien"
    verb, see = where.removeprefix("mien "), f"see {where} --help"
    match error:
        case click.NoSuchOption():
            near = _near_option(error.option_name, ctx)
            return f"{error.option_name}: {where} has no such option{near or f'; {see}'}"
        case click.MissingParameter(param=click.Argument() as argument):
            return f"{verb}: give {(argument.metavar or argument.human_readable_name).rstrip('.')}; {see}"
        case click.MissingParameter(param=click.Option() as option):
            return f"{option.opts[0]}: is needed; {see}"
        case click.BadOptionUsage(message=message) if "requires an argument" in message:
            return f"{error.option_name}: needs a value after it"
        case click.BadParameter(param=click.Parameter() as parameter):
            return _bad_value(error.message, parameter)
    message = " ".join(error.format_message().split())
    if found := re.match(r"Got unexpected extra arguments? \((.*)\)", message):
        labelled = ctx is not None and any(one.name == "data" for one in ctx.command.params)
        fix = "give one folder that holds a folder for each class" if labelled and Path(found[1]).is_dir() else see
        return f"{verb}: too many arguments, {found[1]} is left over; {fix}"
    return message


def refuse_verb(name: str, verbs: list[str], ctx: click.Context) -> NoReturn:
    """Raise the error for a verb that does not exist."""
    raise click.UsageError(f"{name}: is no verb of mien{did_you_mean(name, verbs) or '; see mien --help'}", ctx)


def _near_option(name: str, ctx: click.Context | None) -> str:
    """Suggest the nearest option of the verb; the dashes, which all share, do not count."""
    options = [option for option in (ctx.command.get_params(ctx) if ctx else []) if isinstance(option, click.Option)]
    near = nearest(name.lstrip("-"), [one.lstrip("-") for option in options for one in option.opts])
    return f"; did you mean '--{near}'?" if near else ""


def _plain(message: str) -> str:
    text = " ".join(message.split()).rstrip(".")
    return text[:1].lower() + text[1:]


def _bad_value(message: str, parameter: click.Parameter) -> str:
    """Return the line for a value that is not of the type of its parameter; click's message begins with it."""
    name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
    if found := re.match(r"(.*) is not in the range ", message, re.DOTALL):
        return f"{name} {found[1]}: must be {range_words(parameter.type)}"
    if found := re.match(r"'(.*)' is not a finite number", message, re.DOTALL):
        return f"{name} {found[1]}: must be a finite number"
    if found := re.match(r"'(.*)' is not a valid (integer|float)\b", message, re.DOTALL):
        return f"{name} {found[1]}: must be {'a whole number' if found[2] == 'integer' else 'a number'}"
    if isinstance(parameter.type, click.Choice) and (found := re.match(r"'(.*?)' is not one of ", message)):
        choices = ", ".join(parameter.type.choices)
        return f"{name} {found[1]}: is none of {choices}{did_you_mean(found[1], parameter.type.choices)}"
    return f"{name}: {_plain(message)}"
