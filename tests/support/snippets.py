"""The code blocks of the documentation, taken out to be run as a reader would run them."""

import re
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n\n?)?^```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Snippet:
    """A block of code: its language, the line it begins on, and why it cannot be run here (None: it can).

    `info` is what stands after the language.
    """

    language: str
    code: str
    line: int
    reason: str | None = None
    info: str = ""


def snippets(path: Path, *languages: str) -> list[Snippet]:
    """Return the blocks of a Markdown file that are in one of `languages`, in order.

    A comment `<!-- not run: why -->` before a block says that it is not run, and why.
    """
    text = path.read_text(encoding="utf-8")
    return [
        Snippet(
            found["language"],
            found["code"],
            text.count("\n", 0, found.start("language")) + 1,
            found["reason"],
            found["info"].strip(),
        )
        for found in _FENCE.finditer(text)
        if found["language"] in languages
    ]
