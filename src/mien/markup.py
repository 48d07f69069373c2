"""Write HTML elements for notebooks and pages; all text is escaped, and kept on one line (`mien.text.one_line`).

Pages from templates: `mien.io.templates`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.text import one_line

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def element(tag: str, *children: "str | Element", **attributes: str) -> "Element":
    """Return an HTML element that holds texts and other elements.

    Examples:
        >>> to_html(element("p", element("b", "1 < 2"), " & so on"))
        '<p><b>1 &lt; 2</b> &amp; so on</p>'
    """
    from xml.etree.ElementTree import Element

    made = Element(tag, {name: one_line(value) for name, value in attributes.items()})
    last: Element | None = None
    for child in children:
        if not isinstance(child, str):
            made.append(child)
            last = child
        elif last is None:
            made.text = (made.text or "") + one_line(child)
        else:
            last.tail = (last.tail or "") + one_line(child)
    return made


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> "Element":
    """Return a table for a notebook.

    Args:
        columns: the header cells.
        rows: the rows, each with as many cells as there are columns.
        caption: a sentence above the table; empty for none.

    Examples:
        >>> to_html(table(["class"], [["<sad>"]]))
        '<table><tr><th>class</th></tr><tr><td style="text-align: left">&lt;sad&gt;</td></tr></table>'
    """
    title = [element("caption", caption)] if caption else []
    head = element("tr", *(element("th", name) for name in columns))
    body = (element("tr", *(element("td", cell, style="text-align: left") for cell in row)) for row in rows)
    return element("table", *title, head, *body)


def to_html(*elements: "Element") -> str:
    """Return elements as HTML."""
    from xml.etree.ElementTree import tostring

    return "".join(tostring(one, encoding="unicode", method="html") for one in elements)
