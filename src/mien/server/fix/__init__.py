"""The page of `mien fix`: look at the images of a dataset one by one, decide with one key, train, look again.

`serve_fixes` runs it on this machine alone. The decisions are those of `mien.data.fixes`; nothing else is stored.
"""

import secrets
import threading
import webbrowser
from collections.abc import Callable

from mien.data.fixes.session import FixSession
from mien.server.fix.app import create_fix_app
from mien.server.limits import Limits
from mien.server.runner import listen, run

__all__ = ["create_fix_app", "serve_fixes"]

HOST = "127.0.0.1"


def serve_fixes(
    session: FixSession, *, port: int = 0, open_page: bool = True, on_start: Callable[[str], None],
    on_end: Callable[[str], None] = lambda sentence: None,
) -> int | None:  # fmt: skip
    """Serve the page of a session until a signal stops it.

    Args:
        session: from `mien.data.fixes.opening.open_session`.
        port: of this machine; 0 takes any free one.
        open_page: open it in a browser.
        on_start: called with the address once it can be opened. It ends with a secret, which is of this start alone.
        on_end: called at the end with each sentence about what was left undone: a training, pictures that were marked.

    Returns:
        The number of the signal.

    Raises:
        ConfigError: the port is in use or not allowed.
    """
    token = secrets.token_urlsafe(32)
    app, limits = create_fix_app(session, token), Limits()
    listener = listen(HOST, port)
    page = f"http://{HOST}:{listener.getsockname()[1]}/#"

    def start() -> None:
        on_start(page + token)
        if open_page:  # in a thread: some browsers return only once they are closed
            opened = page + app.state.mien.handover.fragment
            threading.Thread(target=webbrowser.open, args=(opened,), daemon=True).start()

    number = run(app, limits, [listener], start)
    for sentence in app.state.mien.parting:
        on_end(sentence)
    return number
