"""Check arguments of public functions, and name them as each door does: in Python, as a flag, or in an URL.

The library writes code in backticks, as Python says it: `detect=False`, `epochs=` for a name alone, or a call such as
`mien.train(resume='run')`, or its name. A Python user reads that as it stands. The command and the server translate it.
"""

import ast
import os
import re
import shlex
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mien.errors import ConfigError
from mien.text import did_you_mean, join_words

Choice = TypeVar("Choice", bound=str)

#: Arguments whose flag has another name, and those that the command takes without a flag.
_FLAGS = {"rename": "map", "start_from": "from", "costs": "cost", "columns": "column"}
_POSITIONAL = {"data": "DATA"}

_CODE = re.compile(r"`([^`\n]{1,400})`")
_NAME_ALONE = re.compile(r"([a-z_]+)=")


@dataclass(frozen=True)
class _Call:
    """A call such as `mien.train(resume='run')`, or arguments alone: then `verb` is empty. None is a name alone."""

    verb: str
    values: tuple[object, ...]
    options: tuple[tuple[str, object], ...]


def path_argument(name: str, value: object, what: str) -> Path:
    """Return an argument as a path.

    Args:
        name: of the argument.
        value: what the caller gave.
        what: what is expected, for the error.

    Raises:
        ConfigError: the value is not a path.

    Examples:
        >>> path_argument("data", "faces", "a labelled folder").name
        'faces'
    """
    if isinstance(value, str | os.PathLike):
        return Path(value)
    raise ConfigError(f"`{name}={value!r:.40}`: give {what}, not {type(value).__name__}")


def choice_argument(name: str, value: Choice, known: Sequence[str]) -> Choice:
    """Return an argument that is one of some words; ConfigError suggests the nearest.

    Examples:
        >>> choice_argument("faces", "largest", ["all", "largest"])
        'largest'
    """
    if isinstance(value, str) and value in known:
        return value
    raise ConfigError(f"`{name}={value!r:.40}`: is none of {join_words(known)}{did_you_mean(str(value), known)}")


def flag(name: str) -> str:
    """Return the command-line spelling of an argument.

    Examples:
        >>> flag("learning_rate"), flag("start_from")
        ('--learning-rate', '--from')
    """
    return "--" + _FLAGS.get(name, name).replace("_", "-")


def to_flags(text: str) -> str:
    """Return a message with its Python arguments as flags of the command; other code stays as it is.

    Examples:
        >>> to_flags("`freeze_epochs=5`: more than `epochs=3`; see `mien.train(resume='my run')`")
        "--freeze-epochs 5: more than --epochs 3; see mien train --resume 'my run'"
        >>> to_flags("use `detect=False`, `rename={'smile': 'happy'}` or `classes=`")
        'use --no-detect, --map smile=happy or --classes'
    """
    return _CODE.sub(lambda code: _as_flags(code[1]) or code[0], text)


def to_query(text: str) -> str:
    """Return a message with its Python arguments as parameters of an URL; calls and other code stay as they are.

    Examples:
        >>> to_query("use it whole (`detect=False`)")
        'use it whole (?detect=false)'
    """
    return _CODE.sub(lambda code: _as_query(code[1]) or code[0], text)


def _as_flags(code: str) -> str | None:
    call = _parse(code)
    if call is None:
        return None
    words = ["mien", call.verb] if call.verb else []
    words += [word for value in call.values for word in _words(value)]
    for name, value in call.options:
        words += _flag_words(name, value)
    return " ".join(words)


def _flag_words(name: str, value: object) -> Iterator[str]:
    if name in _POSITIONAL:
        yield from [_POSITIONAL[name]] if value is None else _words(value)
    elif name == "detect" and value is True:  # the one option that is yes, no or neither
        yield "--detect yes"
    elif value is False:
        yield f"--no-{flag(name)[2:]}"
    elif value is None or value is True:
        yield flag(name)
    else:
        for word in _words(value):
            yield f"{flag(name)} {word}"


def _words(value: object) -> list[str]:
    """Return a value as words of a shell; each entry of a mapping is one."""
    if isinstance(value, dict):
        return [shlex.quote(_quoted(f"{key}={_text(one)}")) for key, one in value.items()]
    return [shlex.quote(",".join(map(_quoted, value)) if isinstance(value, list | tuple) else _text(value))]


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(value: object) -> str:
    """Return one of several names; double quotes hold one with a comma together."""
    text = _text(value)
    return f'"{text}"' if "," in text else text


def _as_query(code: str) -> str | None:
    call = _parse(code)
    if call is None or call.verb:
        return None
    return "?" + "&".join(f"{name}={_query_text(value)}" for name, value in call.options)


def _query_text(value: object) -> str:
    if isinstance(value, dict):
        return ",".join(f"{key}={_text(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    return "" if value is None else str(value).lower() if isinstance(value, bool) else _text(value)


def _parse(code: str) -> _Call | None:
    """Return what is in backticks, or None if it is not a call or arguments as described above."""
    if alone := _NAME_ALONE.fullmatch(code):
        return _Call("", (), ((alone[1], None),))
    called = code.startswith("mien.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a path of Windows may look like an invalid escape
            tree = ast.parse(code if called else f"_({code})", mode="eval").body
        if called and isinstance(tree, ast.Attribute):
            return _Call(tree.attr, (), ())
        if not isinstance(tree, ast.Call) or any(keyword.arg is None for keyword in tree.keywords):
            return None
        verb = tree.func.attr if isinstance(tree.func, ast.Attribute) else ""
        values = tuple(map(_value, tree.args))
        options = tuple((str(keyword.arg), _value(keyword.value)) for keyword in tree.keywords)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return _Call(verb, values, options) if called or (options and not values) else None


def _value(node: ast.expr) -> object:
    """Return a literal; a bare name is a placeholder, such as FOLDER."""
    found: object = node.id if isinstance(node, ast.Name) else ast.literal_eval(node)
    return found
