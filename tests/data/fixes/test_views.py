"""Which images make a grid, and which doubtful ones wait beside it."""

from mien.data.fixes.queue import Item
from mien.data.fixes.views import FEWEST, first_batch, make_batch


def alike(kind: str, count: int, label: str = "happy", suggestion: str | None = None) -> list[Item]:
    return [Item(f"{kind}-{label}-{number}.jpg", kind, "", label, suggestion) for number in range(count)]


ALONE = Item("copy.jpg", "near-duplicate", "", "happy", group=("copy.jpg", "other.jpg"))
NOISE = [*alike("no-face", 2, "happy", "sad"), *alike("no-face", 2, "sad")]
CERTAIN = alike("certain", FEWEST)
ALL = [ALONE, *alike("label-issue", 3, "sad", "happy"), *NOISE, *CERTAIN]


def test_a_grid_holds_those_that_are_like_the_image_on_screen() -> None:
    assert first_batch(ALL, 50, NOISE[0]) == tuple(NOISE), "noise under either label"
    assert first_batch(ALL, 50, ALL[1]) == tuple(ALL[1:4])
    assert first_batch(ALL, 3, NOISE[0]) == tuple(NOISE[:3])


def test_where_nothing_is_like_it_the_first_grid_that_is_worth_one_is_shown() -> None:
    assert first_batch(ALL, 50, ALONE) == first_batch(ALL, 50) == tuple(ALL[1:4])
    assert first_batch([ALL[1], *CERTAIN], 50, ALONE) == tuple(CERTAIN), "one alone is no grid"
    assert first_batch([ALONE, *CERTAIN[1:]], 50, ALONE) == ()


def test_a_grid_knows_the_doubtful_images_around_it() -> None:
    batch = make_batch({item.name for item in NOISE[1:]}, [*ALL, *alike("face-cut-off", 1)])
    assert batch is not None
    assert (batch.items, batch.before, batch.after) == (tuple(NOISE[1:]), 5, 1)
    assert batch.sentence == "3 images labelled happy or sad"
    wrong = make_batch({item.name for item in ALL[1:4]}, ALL)
    assert wrong is not None and wrong.sentence == "3 images labelled sad, look happy"
    assert make_batch({"none.jpg"}, ALL) is None
