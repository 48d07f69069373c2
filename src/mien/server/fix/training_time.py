"""How far a training is, by what lies in its run folder, and how long it will take from now."""

import tomllib
from contextlib import suppress
from pathlib import Path

from mien.io.layout import CONFIG, FINAL, HISTORY, is_finished
from mien.text import pluralize

#: Folds of the cross-validation: each image is answered by a model that was not trained on it.
FOLDS = 3
#: Epochs of a run whose settings cannot be read.
_EPOCHS = 25


def fraction_done(folder: Path) -> float:
    """Return how much of a cross-validation is done, in [0, 1), by its finished runs and the epochs of the next."""
    done = 0.0
    for part in [*(folder / f"fold-{number + 1}" for number in range(FOLDS)), folder / FINAL]:
        if not is_finished(part):
            done += _epochs_done(part)
            break
        done += 1
    return min(done / (FOLDS + 1), 0.99)


def _epochs_done(run: Path) -> float:
    with suppress(OSError):
        done = max((run / HISTORY).read_bytes().count(b"\n") - 1, 0)
        epochs = _EPOCHS
        with suppress(OSError, ValueError):
            epochs = tomllib.loads((run / CONFIG).read_text("utf-8"))["epochs"]
        return min(done / max(epochs, 1), 0.99)
    return 0.0


def how_long(before: float | None) -> str:
    """Say before a training how long it will take, by the seconds of the last one.

    Examples:
        >>> how_long(None), how_long(70)
        ('It takes minutes for some hundred pictures', 'The last one took about 2 minutes')
    """
    if before is None:
        return "It takes minutes for some hundred pictures"
    return f"The last one took about {pluralize(max(-int(-before // 60), 1), 'minute')}"


def time_left(done: float, elapsed: float, before: float | None) -> str:
    """Say how long a training will take from now.

    Args:
        done: the fraction that is done.
        elapsed: seconds since it began.
        before: seconds that another one took; None if there was none.

    Examples:
        >>> time_left(0.25, 60, None), time_left(0, 5, 200), time_left(0, 5, None)
        ('About 3 minutes are left', 'About 4 minutes are left', 'The time left is said after the first epoch')
    """
    if done:
        seconds = elapsed * (1 - done) / done
    elif before is not None:
        seconds = max(before - elapsed, 0)
    else:
        return "The time left is said after the first epoch"
    minutes = -int(-seconds // 60)
    return f"About {pluralize(minutes, 'minute')} {'is' if minutes == 1 else 'are'} left" if minutes else "It ends soon"
