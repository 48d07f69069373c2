"""Write what `mien explain DATA` measures: figures, maps and one page, `explain.html`."""

from pathlib import Path

import numpy as np

from mien.explanation.attention_figures import summary_sheet
from mien.explanation.figures import METHODS
from mien.explanation.summary import DatasetExplanation
from mien.io.atomic import write_text
from mien.io.targets import to_json
from mien.report.document import Section
from mien.report.html import page
from mien.report.sections.attention import attention_section
from mien.report.sections.faithfulness import faithfulness_section
from mien.viz.charts import Chart
from mien.viz.mosaic import save_png

PAGE = "explain.html"
#: The title of the page, by the sections in it.
_TITLES = {"attention": "Where the model looks", "faithfulness": "whether its heatmaps are faithful"}


def write_explanation(found: DatasetExplanation, folder: Path) -> None:
    """Write `explain.html` and the files beside it into an existing folder.

    For attention: `summary.json`, `summary.png`, and `maps.npz` with the mean heatmaps. For faithfulness:
    `faithfulness.json` and its curves as PNG.
    """
    sections = []
    if found.attention:
        sections.append(attention_section(found.attention))
        write_text(folder / "summary.json", to_json({**found.about, **found.attention.to_dict()}))
        save_png(summary_sheet(found.attention), folder / "summary.png")
        labels = np.array([one.label for one in found.attention.classes], np.str_)
        heats = np.stack([one.heat for one in found.attention.classes])
        with (folder / "maps.npz").open("wb") as stream:
            np.savez_compressed(stream, labels=labels, heats=heats, allow_pickle=False)
    if found.faithfulness:
        sections.append(faithfulness_section(found.faithfulness))
        figures = {"conclusion": found.faithfulness.conclusion, **found.faithfulness.to_dict()}
        write_text(folder / "faithfulness.json", to_json({**found.about, **figures}))
        for chart in (part for part in sections[-1].parts if isinstance(part, Chart)):
            chart.save(folder / f"{chart.name}.png")
    write_text(folder / PAGE, _page(found, sections))


def _page(found: DatasetExplanation, sections: list[Section]) -> str:
    title = " and ".join(_TITLES[section.key] for section in sections)
    deck = f"{found.images} images, {found.part}; heatmaps by {METHODS[found.method]}."
    verdict = f"{title[0].upper()}{title[1:]}."
    name = f"{found.model} on {found.part}"
    return page(name, f"mien explain · {name}", verdict, deck, [], sections)
