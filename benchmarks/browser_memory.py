"""The memory of a tab, for `browser.py`: the process as the system counts it, page and workers as the browser does.

The heap of the page is counted after a full garbage collection: what is left is held.
"""

import time
from typing import Any

import numpy as np
import psutil


def resident() -> tuple[float, float]:
    """Return the resident memory of the largest renderer of this run, in MB: its own, and what it shares.

    Shared are program files, and the buffers in which the parts of the browser hand each other frames.
    """
    sizes = [(0, 0)]
    for process in psutil.Process().children(recursive=True):
        try:
            if "--type=renderer" in process.cmdline():
                memory = process.memory_info()
                sizes.append((memory.rss - memory.shared, memory.shared))
        except psutil.Error:
            continue
    own, shared = max(sizes, key=sum)
    return own / 1e6, shared / 1e6


def print_memory(title: str, page: Any, minutes: float, every: float) -> None:
    """Print the memory of a tab whose webcam runs."""
    begin, rows = time.monotonic(), []
    print(f"\n{title}\n\n| minute | process, own, MB | shared, MB | page and workers, MB | heap of the page, MB |")
    print("|---|---|---|---|---|")
    devtools = page.context.new_cdp_session(page)
    while time.monotonic() - begin < 60 * minutes + 1:
        measured = page.evaluate("performance.measureUserAgentSpecificMemory().then(({ bytes }) => bytes / 1e6)")
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"] / 1e6
        rows.append(((time.monotonic() - begin) / 60, *resident(), measured, heap))
        print("| {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.1f} |".format(*rows[-1]), flush=True)
        page.wait_for_timeout(1000 * every)
    later = np.array([row for row in rows if row[0] >= minutes / 5])
    slopes = [np.polyfit(later[:, 0], later[:, column], 1)[0] for column in (1, 2, 3, 4)]
    texts = ("own {:+.2f}", "shared {:+.2f}", "page and workers {:+.2f}", "heap {:+.2f}")
    print("\nafter the first fifth, MB per minute: " + ", ".join(texts).format(*slopes))
