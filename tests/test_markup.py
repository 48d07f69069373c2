"""HTML for notebooks and pages: all text is escaped."""

from html.parser import HTMLParser

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.markup import element, table, templates, to_html
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


@pytest.mark.parametrize("room", ["report", "server"])
def test_templates_escape_text_and_refuse_a_missing_value(room: str) -> None:
    environment = templates(room)
    assert environment.from_string("{{ name }}").render(name="<b>'\"&") == "&lt;b&gt;&#39;&#34;&amp;"
    assert environment.from_string("{{ name }}").render(name="a\u202eb\n") == "a\\u202eb\\n"
    with pytest.raises(jinja2.UndefinedError):
        environment.from_string("{{ name }}").render()


@pytest.mark.parametrize("room", ["report", "server"])
def test_only_the_drawings_of_charts_go_unescaped(room: str) -> None:
    loader = templates(room).loader
    names = [name for name in loader.list_templates() if name.endswith(".html")]
    assert names
    for name in names:
        source, _, _ = loader.get_source(templates(room), name)
        assert source.count("safe }}") == source.count("part.svg | safe }}")
        assert "autoescape" not in source
