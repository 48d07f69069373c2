"""HTML templates: all text is escaped, a missing value is an error."""

import jinja2
import pytest

from mien.io.templates import templates


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
