"""Progress on a terminal, in lines, and not at all."""

import time

import pytest

from wmdd.runtime import progress
from wmdd.runtime.progress import Reporter, print_table


@pytest.fixture
def without_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("without_terminal")
def test_lines_come_seldom_and_never_at_the_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Reporter() as reporter, reporter.task("quick work") as task:
        task.update(1, 3)
        task.update(3, 3)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with Reporter() as reporter, reporter.task("slow work") as task:
        task.update(1, 4, loss=0.123456, accuracy=50.0)
        task.update(4, 4, loss=0.1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "  slow work: 1/4, about 0 s left  loss 0.1235  accuracy 50\n"


@pytest.mark.usefixtures("without_terminal")
def test_what_another_process_did_takes_no_time_here(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    seconds = iter([0.0, 2.0, 4.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(seconds))
    with Reporter() as reporter, reporter.task("resumed") as task:
        task.update(751, 1000)
        task.update(752, 1000)
    assert capsys.readouterr().err.count("about 498 s left") == 1
    # two seconds a step


@pytest.mark.usefixtures("without_terminal")
def test_what_is_said_goes_to_standard_error_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Reporter() as reporter:
        reporter.say("a [bold]line[/bold] " + "that is long " * 30)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "a [bold]line[/bold] " + "that is long " * 30 + "\n"


@pytest.mark.parametrize("forced", [False, True])
def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, forced: bool) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    if forced:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with Reporter(quiet=True) as reporter, reporter.task("work") as task:
        reporter.say("hello")
        task.update(1, 2, loss=1.0)
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_bars_that_go_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    shown = ""

    def wait_for(text: str) -> None:
        nonlocal shown
        until = time.monotonic() + 30
        while text not in shown and time.monotonic() < until:
            time.sleep(0.05)
            shown += capsys.readouterr().err

    with Reporter() as reporter:
        with reporter.task("distilling") as task:
            task.update(3, 8, loss=0.25)
            wait_for("3/8")
        with reporter.task("scoring") as task:
            task.update(1, 2)
            wait_for("1/2")
    shown += capsys.readouterr().err
    assert "distilling" in shown
    assert "3/8" in shown
    assert "loss 0.25" in shown
    last = shown.rpartition("distilling")[2]
    assert "scoring" in last  # the first bar has gone when the second is there
    assert shown.endswith("\x1b[2K") or "\x1b[?25h" in shown  # cleared, and the cursor is back


def test_a_table_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("scores", ["method", "top-1"], [["wmdd", "81.25"], ["random-real", "7.5"]])
    out = capsys.readouterr().out
    assert out.splitlines()[0].strip() == "scores"
    assert [line.split("│")[1:3] for line in out.splitlines() if "wmdd" in line or "random" in line] == [
        [" wmdd        ", " 81.25 "],
        [" random-real ", "   7.5 "],
    ]
