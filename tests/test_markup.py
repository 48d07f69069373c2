"""HTML elements: all text is escaped."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from mien.markup import element, table, to_html
from mien.text import one_line


class Texts(HTMLParser):
    """The tags and the text of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data


@given(first=st.text(), second=st.text(), alt=st.text())
def test_texts_come_back_on_one_line(first: str, second: str, alt: str) -> None:
    found = Texts(to_html(element("p", first, element("img", alt=alt), second, element("b"), first)))
    assert found.words == one_line(first) + one_line(second) + one_line(first)
    assert found.tags == [("p", {}), ("img", {"alt": one_line(alt)}), ("b", {})]


def test_a_table_escapes_every_text() -> None:
    html = to_html(table(("<a>", "b"), [("&", "<script>")], "1 < 2"))
    assert html.startswith("<table><caption>1 &lt; 2</caption><tr><th>&lt;a&gt;</th>")
    assert "<script>" not in html
    assert html.count("<td ") == 2
