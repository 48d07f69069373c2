"""Show where a model looks: mean heatmaps, and the share of the evidence on each region."""

from mien.explanation.attention import AttentionSummary, RegionShare
from mien.explanation.attention_figures import mean_map_with_scale
from mien.explanation.figures import METHODS
from mien.explanation.regions import REGIONS
from mien.metrics.formatting import format_percent
from mien.report.document import Gallery, GalleryImage, Note, Section, Table
from mien.viz.mosaic import png_bytes


def attention_section(found: AttentionSummary) -> Section:
    """Show the mean heatmaps, and the share of the evidence on each region."""
    images = tuple(
        GalleryImage(
            png_bytes(mean_map_with_scale(one)), f"{one.label}: mean of {one.images} heatmaps on the mean face"
        )
        for one in found.classes
    )
    rows = tuple(
        (
            one.label,
            *(_share(one.shares[name]) for name in REGIONS),
            one.border_peak_in_words,
        )
        for one in found.classes
    )
    area = found.classes[0].shares
    rows += (("an even spread", *(format_percent(area[name].area) for name in REGIONS), "1.0×"),)
    table = Table(
        ("class", *REGIONS, "most at the border"), rows,
        "Share of the evidence on each region, with 95 % intervals. A model that looks at faces has more on some than "
        "an even spread.",
    )  # fmt: skip
    note = Note(found.conclusion, "warning" if found.shortcut else "info")
    how = (
        f"Mean heatmaps ({METHODS.get(found.method, found.method)}), each scaled to its own maximum. {found.aligned} "
        "faces are aligned by their landmarks. Outlined: brows, eyes, nose, mouth and face."
    )
    return Section(
        "attention", "Where the model looks", found.conclusion, (Gallery(images, how), table)
        + ((note,) if found.shortcut else ()),
    )  # fmt: skip


def _share(found: RegionShare) -> str:
    low, high = found.interval
    return f"{format_percent(found.value)} ({format_percent(low)} – {format_percent(high)})"
