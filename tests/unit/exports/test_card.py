"""What the card says of the images is what was done to them."""

import pytest
from small_export import manifest

from wmdd.exports.card import card


@pytest.mark.parametrize(
    ("init", "steps", "says"),
    [
        ("real", 200, "real pixels, optimised"),
        ("patches", 1, "real pixels, optimised"),
        ("noise", 200, "optimised from noise"),
        ("real", 0, "real images, unchanged"),
        ("random", 0, "real images, unchanged"),
        ("herding", 0, "real images, unchanged"),
        ("k-center", 0, "real images, unchanged"),
        ("patches", 0, "crops of real images"),
        ("noise", 0, "noise"),
    ],
)
def test_how_the_images_came_about(init: str, steps: int, says: str) -> None:
    text = card(manifest("hf", init=init, steps=steps))
    assert f"8 px\n({says}), that stand for" in text
    assert ("optimised" in text) == (steps > 0)


def test_scores_are_not_those_of_the_logits_that_are_beside_the_images() -> None:
    text = " ".join(card(manifest("hf")).split())
    assert "the teacher's labels of augmented views, which are not in this set: its `logits` are those of the" in text
