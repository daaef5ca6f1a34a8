"""Whatever was typed, what is said of it is one line."""

import pytest

from wmdd.cli.arguments import one_line
from wmdd.cli.main import _sentence, main


@pytest.mark.parametrize(
    "words", [["run", "x", "--\n"], ["run", "--a\x1b[2Jb"], ["a\nb"], ["-\u2028"], ["-\x85x", "run"]]
)
def test_flags_with_line_breaks(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.endswith(".\n")
    assert "\x1b" not in said


def test_letters_of_all_languages_stay() -> None:
    assert one_line("é 猫 🙂\tx\ny") == "é 猫 🙂?x y"


def test_a_reader_of_images_that_died_is_a_sentence() -> None:
    error = RuntimeError("DataLoader worker (pid(s) 17) exited unexpectedly")
    assert "--shm-size" in str(_sentence(error, redone=False))
    assert _sentence(RuntimeError("a bug"), redone=False) is None


def test_who_began_with_redo_is_not_told_to_discard_again() -> None:
    full = OSError(28, "No space left on device", "run/x")
    assert str(_sentence(full, redone=False)).endswith("; the same command resumes from here once that is fixed")
    assert str(_sentence(full, redone=True)).endswith(
        "; the same command without --redo resumes from here once that is fixed"
    )
