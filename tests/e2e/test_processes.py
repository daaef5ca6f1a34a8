"""Several processes at one run make the same bytes as one: started by torchrun, as shards, or just several times."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from real_images import digit_folder

from wmdd.cli.main import main
from wmdd.pipeline.run_directory import RunDirectory

SETTINGS = [
    *("--ipc", "3", "--image-size", "16", "--teacher-epochs", "6", "--seeds", "0,1", "--steps", "30"),
    *("--teacher.batch_size", "20", "--synthesis.group_size", "1", "--evaluation.epochs", "12"),
    *("--runtime.threads", "1", "--runtime.precision", "float32"),
]
APART = ("statistics", "barycenters", "synthesis", "relabel", "evaluation")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digit_folder(tmp_path_factory.mktemp("digits"), classes=5, train=20, val=10)


@pytest.fixture(scope="module")
def alone(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that one process makes."""
    run = tmp_path_factory.mktemp("alone") / "run"
    assert main(["run", str(run), "--data", str(data), *SETTINGS, "-q"]) == 0
    return run


@pytest.fixture
def taught(alone: Path, tmp_path: Path) -> Path:
    """A copy of it that has its teacher only."""
    run = shutil.copytree(alone, tmp_path / "run")
    RunDirectory(run).discard("statistics")
    return run


def contents(run: Path, *stages: str) -> dict[str, str]:
    """The hash of every artifact of ``stages``; records hold times, which differ."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for stage in stages
        for path in sorted((run / "artifacts" / stage).rglob("*"))
        if path.is_file() and path.parent.name != "units"
    }


def crew(size: int, *words: object) -> list[str]:
    """The command of that many processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = ["torch.distributed.run", "--nproc-per-node", str(size), "--master-port", str(port), "-m", "wmdd"]
    return [sys.executable, "-W", "ignore", "-m", *start, *map(str, words)]


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "wmdd", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def nothing_left(run: Path) -> bool:
    return not [*run.rglob("*.tmp"), *run.rglob("*.claim"), *run.rglob("unfinished")]


@pytest.mark.parametrize("size", [2, 4])
def test_a_crew_makes_the_bytes_of_one_process(size: int, alone: Path, taught: Path) -> None:
    done = subprocess.run(crew(size, "run", taught, "-q"), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("page: ") == 1
    assert contents(taught, *APART) == contents(alone, *APART)
    assert json.loads((taught / "results.json").read_text())["scores"]
    assert nothing_left(taught)


def test_a_crew_trains_teacher_and_student_together(alone: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["run", run, "--data", data, *SETTINGS, "--seeds", "0", "--evaluation.random_real", "false"]
    done = subprocess.run(crew(2, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("teacher: 1 of 1 unit(s) made") == 1
    mine, other = (json.loads((place / "results.json").read_text()) for place in (run, alone))
    assert abs(mine["teacher"]["top1"] - other["teacher"]["top1"]) < 30  # of 50 images: each half of a batch is norm'd
    assert mine["teacher"]["top1"] > 2 * mine["chance"]
    assert len(mine["scores"]) == 1
    assert nothing_left(run)
    # One process goes on with what a crew has made, and finds it done.
    before = contents(run, "teacher", *APART)
    assert main(["run", str(run), "-q"]) == 0
    assert contents(run, "teacher", *APART) == before


@pytest.mark.parametrize("size", [3, 4])
def test_a_crew_makes_teams_and_leaves_over_whom_it_cannot_use(
    size: int, alone: Path, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    # Of six images a batch two processes get two or more: the third is left over, a third and fourth find nothing.
    words = ["run", run, "--data", data, *SETTINGS, "--seeds", "0", "--teacher.batch_size", "6"]
    done = subprocess.run(crew(size, *words), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert nothing_left(run)
    assert len(RunDirectory(run).records("evaluation")) == 2  # students: of all three in turn, or of two teams of two
    found = json.loads((run / "results.json").read_text())
    assert found["teacher"]["top1"] > 2 * found["chance"]
    before = contents(run, "teacher", *APART)
    assert main(["run", str(run), "-q"]) == 0
    assert contents(run, "teacher", *APART) == before


def test_a_crew_says_once_what_is_wrong(tmp_path: Path) -> None:
    done = subprocess.run(
        crew(2, "run", tmp_path / "run", "--data", tmp_path / "none"), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("wmdd: ")]
    why = [line for line in said if line.startswith(f"wmdd: {tmp_path / 'none'} does not exist")]
    assert len(why) == 1, done.stderr
    # The other one may be stopped by torchrun before it can say this.
    others = [line for line in said if line not in why]
    assert all("could not begin, and says why" in line or "interrupted" in line for line in others), done.stderr
    assert not (tmp_path / "run").exists()


def test_a_crew_does_not_wait_for_what_none_of_it_makes(taught: Path) -> None:
    done = subprocess.run(crew(2, "synthesize", taught, "-q"), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode != 0
    said = {line for line in done.stderr.splitlines() if line.startswith("wmdd: ") and "interrupted" not in line}
    assert len(said) == 1, done.stderr
    assert "statistics, of which" in said.pop()


def workers(agent: subprocess.Popen[str]) -> list[int]:
    """The processes that an agent of torchrun has started."""
    return [int(pid) for pid in Path(f"/proc/{agent.pid}/task/{agent.pid}/children").read_text().split()]


@pytest.mark.parametrize("machines", [1, 2])
def test_a_crew_goes_on_where_it_was_when_a_process_of_it_dies(machines: int, alone: Path, taught: Path) -> None:
    command = crew(2 // machines, "run", taught, "-q")
    place = command.index("--master-port")
    restarts = ["--max-restarts=3"]
    if machines == 2:
        meet = f"--rdzv-endpoint=127.0.0.1:{command[place + 1]}"
        restarts += ["--nnodes=2", "--rdzv-backend=c10d", meet, "--local-addr=127.0.0.1"]
    command[place : place + 2] = restarts
    pipe = subprocess.PIPE
    agents = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(machines)]
    claims, deadline = taught / "artifacts" / "synthesis" / "units", time.monotonic() + 240
    try:
        while not any(claims.glob(".*.claim")):
            assert all(agent.poll() is None for agent in agents)
            assert time.monotonic() < deadline
            time.sleep(0.005)
        os.kill(workers(agents[-1])[-1], signal.SIGKILL)
        said = [agent.communicate(timeout=300) for agent in agents]
    finally:
        for agent in agents:
            agent.terminate()  # and with it its processes
    assert [agent.returncode for agent in agents] == [0] * machines, said
    assert contents(taught, *APART) == contents(alone, *APART)
    assert nothing_left(taught)


@pytest.mark.parametrize("verb", ["compare", "check", "export"])
def test_verbs_that_are_no_work_for_a_crew(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([verb, str(tmp_path), *(["--to", "folder"] if verb == "export" else [])]) == 2
    assert (
        capsys.readouterr().err == f"wmdd: wmdd {verb} is no work for several processes: start it without torchrun.\n"
    )


def test_shards_and_a_crew_are_one_too_many(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["run", str(alone), "--shard", "0/2", "-q"]) == 2
    assert "use one of them" in capsys.readouterr().err
    monkeypatch.setenv("RANK", "2")
    assert main(["run", str(alone), "-q"]) == 2
    assert "torchrun never sets" in capsys.readouterr().err


def test_the_same_command_twice_at_once(alone: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    both = [start("run", run, "--data", data, *SETTINGS) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert contents(run, "teacher", *APART) == contents(alone, "teacher", *APART)
    made = [sum(int(line.split(" of ")[0].split()[-1]) for line in err.splitlines() if " unit(s) made" in line)
            for _, err in said]  # fmt: skip
    assert sum(made) == sum(len(RunDirectory(run).records(stage)) for stage in ("teacher", *APART))
    assert nothing_left(run)


def test_shards_of_a_run_wait_for_one_another(alone: Path, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    both = [start("run", run, "--data", data, *SETTINGS, "--shard", f"{i}/2") for i in range(2)]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "waiting for 1 unit(s) that other processes make" in said[1][1]
    assert contents(run, "teacher", *APART) == contents(alone, "teacher", *APART)


def test_a_unit_of_a_dead_process_is_taken_over(alone: Path, taught: Path) -> None:
    assert main(["statistics", str(taught), "-q"]) == 0
    assert main(["barycenters", str(taught), "-q"]) == 0
    dying = start("synthesize", taught)
    claims = taught / "artifacts" / "synthesis" / "units"
    deadline = time.monotonic() + 120
    while not any(claims.glob(".*.claim")):
        assert dying.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    other = start("run", taught)
    os.kill(dying.pid, signal.SIGKILL)
    dying.communicate()
    out, err = other.communicate(timeout=300)
    assert other.returncode == 0, (out, err)
    assert contents(taught, *APART) == contents(alone, *APART)
    assert nothing_left(taught)


def test_what_another_process_is_at_is_not_discarded(taught: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = RunDirectory(taught).claim("synthesis", "group-001")
    assert held is not None
    with held:
        assert main(["run", str(taught), "--redo", "statistics", "-q"]) == 2
    assert f"another process is at synthesis in {taught}" in capsys.readouterr().err
