"""What may be changed in a comparison that was begun."""

from pathlib import Path

import pytest

from wmdd.comparison.asked import asked_for
from wmdd.comparison.file import write_comparison
from wmdd.config.load import nested
from wmdd.core.errors import RunError


def test_images_may_be_converted_later_on_and_the_split_may_not_be_another(tmp_path: Path) -> None:
    write_comparison(tmp_path, asked_for(tmp_path, {}, ["rded"]))
    later = asked_for(tmp_path, nested({"data.convert": True}))
    assert later.shared.data.convert
    with pytest.raises(RunError, match=r"data\.split_seed was 0 when the comparison"):
        asked_for(tmp_path, nested({"data.split_seed": 1}))
