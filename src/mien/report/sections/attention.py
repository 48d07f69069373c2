"""Show where a model looks: mean heatmaps, and the share of the evidence on each region."""

from mien.explanation.attention import AttentionSummary
from mien.explanation.attention_figures import mean_map
from mien.explanation.regions import REGIONS
from mien.report.document import Gallery, GalleryImage, Note, Section, Table
from mien.viz.mosaic import png_bytes


def attention_section(found: AttentionSummary) -> Section:
    """Show the mean heatmaps, and the share of the evidence on each region."""
    images = tuple(
        GalleryImage(png_bytes(mean_map(one)), f"{one.label}: mean of {one.images} heatmaps on the mean face")
        for one in found.classes
    )
    rows = tuple(
        (one.label, *(f"{one.shares[name].value:.0%}" for name in REGIONS), "{} {:.1f}×".format(*one.border_peak))
        for one in found.classes
    )
    area = found.classes[0].shares
    rows += (("an even spread", *(f"{area[name].area:.0%}" for name in REGIONS), "1.0×"),)
    table = Table(
        ("class", *REGIONS, "most at the border"), rows,
        "Share of the evidence on each region. A network that looks at faces has more on some than an even spread.",
    )  # fmt: skip
    note = Note(found.conclusion, "warning" if found.shortcut else "info")
    how = f"{found.method}; {found.aligned} faces aligned by their landmarks; outlined: brows, eyes, nose, mouth, face."
    return Section(
        "attention", "Where the network looks", found.conclusion, (Gallery(images, how), table)
        + ((note,) if found.shortcut else ()),
    )  # fmt: skip
