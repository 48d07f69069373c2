"""Make Ctrl-C one line while the `mien` command is still being imported, before `mien.cli.main` can say it.

Importing this module does so, in the process of the command only; programs that import mien keep their own hook.
"""

import sys
from types import TracebackType


def _is_command() -> bool:
    first = sys.argv[0] if getattr(sys, "argv", None) else ""
    if first == "-m":
        return sys.orig_argv[sys.orig_argv.index("-m") + 1 :][:1] == ["mien"] if "-m" in sys.orig_argv else False
    return first.replace("\\", "/").rpartition("/")[2] in ("mien", "mien.exe")


def _say_interrupted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("mien: interrupted\n")
    else:
        sys.__excepthook__(kind, error, trace)


if _is_command():
    sys.excepthook = _say_interrupted
