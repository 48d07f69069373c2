"""Which images make a grid, and which doubtful ones wait beside it."""

from mien.data.fixes.queue import Item
from mien.data.fixes.views import FEWEST, first_batch, make_batch


def alike(kind: str, count: int, label: str = "happy", suggestion: str | None = None) -> list[Item]:
    return [Item(f"{kind}-{label}-{number}.jpg", kind, "", label, suggestion) for number in range(count)]


ALONE = Item("copy.jpg", "near-duplicate", "", "happy", group=("copy.jpg", "other.jpg"))
NOISE = [*alike("no-face", 2, "happy", "sad"), *alike("no-face", 2, "sad")]
CERTAIN = alike("certain", FEWEST)
ALL = [ALONE, *alike("label-issue", 3, "sad", "happy"), *NOISE, *CERTAIN]


def test_a_grid_begins_with_the_image_on_screen() -> None:
    assert first_batch(ALL, 50, NOISE[0]) == tuple(NOISE), "noise under either label"
    assert first_batch(ALL, 50, ALL[2]) == (ALL[2], ALL[1], ALL[3])
    assert first_batch(ALL, 3, NOISE[0]) == tuple(NOISE[:3])
    assert first_batch(ALL[2:], 50, ALL[1]) == tuple(ALL[1:4]), "also if it is picked at random, or was marked"


def test_an_image_that_nothing_is_like_is_in_no_grid() -> None:
    assert first_batch(ALL, 50) == tuple(ALL[1:4])
    assert first_batch(ALL, 50, ALONE) == (), "copies need a look of their own"
    assert first_batch([ALL[1], *CERTAIN], 50, ALL[1]) == ()
    assert first_batch([ALL[1], *CERTAIN], 50) == tuple(CERTAIN), "one alone is no grid"
    assert first_batch([ALONE, *CERTAIN[1:]], 50) == ()


def test_a_grid_knows_how_many_other_images_are_doubtful() -> None:
    batch = make_batch({item.name for item in NOISE[1:]}, [*ALL, *alike("face-cut-off", 1)], NOISE[2].name)
    assert batch is not None
    assert (batch.items, batch.others) == ((NOISE[2], NOISE[1], NOISE[3]), 6)
    assert batch.sentence == "3 images labelled happy or sad"
    wrong = make_batch({item.name for item in ALL[1:4]}, ALL)
    assert wrong is not None and wrong.sentence == "3 images labelled sad that look happy"
    single = make_batch({ALL[1].name}, ALL)
    assert single is not None and single.sentence == "1 image labelled sad that looks happy"
    assert make_batch({"none.jpg"}, ALL) is None
