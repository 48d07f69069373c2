"""Use the JavaScript library in `web/` from Python in a real browser."""

from typing import Any

from chromium import Tab


class Browser(Tab):
    """A page that has loaded the library, `tests/web/page`."""

    def load(self, bundle: str, **options: Any) -> dict[str, Any]:
        """Load a bundle; return what the reader says of itself, or the error."""
        found: dict[str, Any] = self.tab.evaluate(
            "([bundle, options]) => page.load(bundle, options)", [bundle, options]
        )
        return found

    def predict(self, url: str, name: str | None = None) -> dict[str, Any]:
        """Return the row of an image file of the site, or the error."""
        found: dict[str, Any] = self.run("([url, name]) => page.predict(url, name)", [url, name])
        return found

    def run(self, script: str, argument: Any = None) -> Any:
        """Return what a function of the page returns."""
        return self.tab.evaluate(script, argument)
