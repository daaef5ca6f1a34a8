"""Files: whole or not at all, and plain sentences where they cannot be used."""

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
import torch

from wmdd.config import DataConfig
from wmdd.core.errors import RunError
from wmdd.data import load_images, open_source
from wmdd.storage.atomic import write_bytes, write_text, write_with
from wmdd.storage.images import read_png, write_png
from wmdd.storage.json import append_line, read_json, read_lines, read_sealed, write_json, write_sealed
from wmdd.storage.savepoint import Savepoint
from wmdd.storage.tensors import read_tensors, write_tensors


def test_writing_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_bytes(path, b"first")
    write_text(path, "zweites, länger")
    assert path.read_text(encoding="utf-8") == "zweites, länger"
    assert os.listdir(path.parent) == ["file"]


def test_a_folder_in_the_way_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_bytes(tmp_path / "file", b"content")
    assert os.listdir(tmp_path) == ["file"]
    assert os.listdir(tmp_path / "file") == []


def test_a_file_where_a_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"precious")
    with pytest.raises(RunError, match="cannot be written"):
        write_bytes(tmp_path / "file" / "below", b"content")
    assert (tmp_path / "file").read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["file"]


def test_a_name_too_long_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be written"):
        write_bytes(tmp_path / ("x" * 300), b"content")
    assert os.listdir(tmp_path) == []


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    image = torch.randint(256, (3, 17, 17), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    digit = load_images(open_source(DataConfig()).train, 32, DataConfig(), torch.device("cpu")).take(torch.tensor([5]))
    for name, pixels in (("noise", image), ("digit", digit[0]), ("strided", image.transpose(1, 2))):
        write_png(tmp_path / f"{name}.png", pixels)
        found = read_png(tmp_path / f"{name}.png")
        assert torch.equal(found, pixels)
        assert found.is_contiguous()


def test_equal_images_give_equal_bytes(tmp_path: Path) -> None:
    image = torch.randint(256, (3, 8, 8), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    for name in ("a", "b"):
        write_png(tmp_path / name, image)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("content", [None, b"", b"not a picture", b"\x89PNG\r\n\x1a\n torn"])
def test_damaged_files_are_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    for read in (read_png, read_json, read_tensors):
        with pytest.raises(RunError, match="missing or damaged"):
            read(path)


def test_a_torn_png_is_damaged(tmp_path: Path) -> None:
    write_png(tmp_path / "image.png", torch.randint(256, (3, 32, 32)).to(torch.uint8))
    content = (tmp_path / "image.png").read_bytes()
    (tmp_path / "image.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(RunError, match="missing or damaged"):
        read_png(tmp_path / "image.png")


def test_json_round_trip_keeps_order_and_refuses_nan(tmp_path: Path) -> None:
    value = {"z": [1, 2.5, None, "ä"], "a": {"b": True}}
    write_json(tmp_path / "value.json", value)
    assert read_json(tmp_path / "value.json") == value
    assert list(read_json(tmp_path / "value.json")) == ["z", "a"]
    with pytest.raises(ValueError):
        write_json(tmp_path / "value.json", float("nan"))
    assert read_json(tmp_path / "value.json") == value


def test_what_carries_its_own_hash_is_read_as_it_was_written_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_sealed(path, {"é": (1, 2.5), "a": None})
    assert read_sealed(path) == {"é": [1, 2.5], "a": None}
    with pytest.raises(RunError, match="are the most"):
        read_sealed(path, 20)
    deep = ["[" * depth + "]" * depth for depth in range(900, 1010)]  # json reads some that it will not write
    for text in ("{}", "[]", '{"a": "\\ud800"}', *(f'{{"a": {each}}}' for each in deep)):
        path.write_text(text)
        with pytest.raises(RunError, match="damaged"):
            read_sealed(path)


def test_lines_are_appended_and_a_torn_one_is_closed_first(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "metrics.jsonl"
    append_line(path, {"step": 1})
    append_line(path, {"step": 2, "loss": 0.5})
    assert read_lines(path) == [{"step": 1}, {"step": 2, "loss": 0.5}]
    with path.open("ab") as file:
        file.write(b'{"step": 3, "lo')
    append_line(path, {"step": 4})
    assert read_lines(path) == [{"step": 1}, {"step": 2, "loss": 0.5}, {"step": 4}]
    assert path.read_bytes().endswith(b'"lo\n{"step": 4}\n')


def test_torn_lines_are_passed_over_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": \n\n\xff\xfe\n{"a": 2}\n{"a": 3')
    assert read_lines(path) == [{"a": 1}, {"a": 2}]
    assert read_lines(tmp_path / "absent.jsonl") == []


@pytest.mark.parametrize("text", ["line\u2028separator", "next\u0085line", "form\x0cfeed", "new\nline", "emoji 😀"])
def test_any_text_survives_a_line(tmp_path: Path, text: str) -> None:
    append_line(tmp_path / "lines.jsonl", {"text": text})
    append_line(tmp_path / "lines.jsonl", {"text": "after"})
    assert read_lines(tmp_path / "lines.jsonl") == [{"text": text}, {"text": "after"}]


def test_lines_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        append_line(tmp_path / "lines.jsonl", {})


def test_tensors_of_any_layout_come_back(tmp_path: Path) -> None:
    tensors = {
        "strided": torch.rand(3, 4).T,
        "channels_last": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
        "half": torch.rand(5).half(),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "grad": torch.rand(2, requires_grad=True),
    }
    write_tensors(tmp_path / "file.safetensors", tensors, {"key": "value", "ü": "ß"})
    found, metadata = read_tensors(tmp_path / "file.safetensors")
    assert metadata == {"key": "value", "ü": "ß"}
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor.detach())
        assert found[name].dtype == tensor.dtype


def test_views_of_one_storage_are_written_apart(tmp_path: Path) -> None:
    whole = torch.arange(10.0)
    write_tensors(tmp_path / "file", {"first": whole[:5], "last": whole[3:], "whole": whole})
    found, _ = read_tensors(tmp_path / "file")
    assert found["first"].tolist() == [0, 1, 2, 3, 4]
    assert found["last"].tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_a_savepoint_gives_back_the_latest_state(tmp_path: Path) -> None:
    savepoint = Savepoint(tmp_path / "state", "key", seconds=0)
    assert savepoint.load() is None
    for step in range(3):
        savepoint.offer(lambda step=step: {"step": torch.tensor(step)})  # type: ignore[misc]
    again = Savepoint(tmp_path / "state", "key").load()
    assert again is not None
    assert again["step"] == 2
    savepoint.clear()
    assert savepoint.load() is None
    assert os.listdir(tmp_path) == []
    savepoint.clear()


def test_a_savepoint_knows_what_was_spent_before(tmp_path: Path) -> None:
    spent = []
    for _ in range(3):
        savepoint = Savepoint(tmp_path / "state", "key", seconds=0)
        savepoint.load()
        spent.append(savepoint.earlier)
        time.sleep(0.02)
        savepoint.offer(lambda: {"x": torch.ones(2)})
    assert spent[0] == 0
    assert spent[2] - spent[1] > 0.015 < spent[1]


def test_a_state_of_something_else_is_ignored(tmp_path: Path) -> None:
    Savepoint(tmp_path / "state", "one", seconds=0).offer(lambda: {"step": torch.tensor(1)})
    assert Savepoint(tmp_path / "state", "other").load() is None
    assert Savepoint(tmp_path / "state", "one").load() is not None


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped header"])
def test_a_damaged_state_is_ignored_and_replaced(tmp_path: Path, damage: str) -> None:
    savepoint = Savepoint(tmp_path / "state", "key", seconds=0)
    savepoint.offer(lambda: {"step": torch.arange(1000)})
    content = (tmp_path / "state").read_bytes()
    broken = {"cut": content[:-100], "empty": b"", "text": b"{}", "flipped header": b"\xff" * 20 + content[20:]}
    (tmp_path / "state").write_bytes(broken[damage])
    assert savepoint.load() is None
    savepoint.offer(lambda: {"step": torch.tensor(5)})
    assert savepoint.load() == {"step": torch.tensor(5)}


def test_states_are_kept_no_more_often_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("wmdd.storage.savepoint.time", SimpleNamespace(monotonic=lambda: clock[0]))
    savepoint = Savepoint(tmp_path / "state", "key", seconds=0.3)
    savepoint.offer(lambda: {"step": torch.tensor(1)})
    assert savepoint.load() is None  # begun less than 0.3 s ago
    clock[0] += 0.31
    savepoint.offer(lambda: {"step": torch.tensor(2)})
    savepoint.offer(lambda: {"step": torch.tensor(3)})
    state = savepoint.load()
    assert state is not None
    assert state["step"] == 2


def test_without_a_path_no_state_is_even_computed() -> None:
    def state() -> dict[str, torch.Tensor]:
        raise AssertionError

    savepoint = Savepoint(seconds=0)
    savepoint.offer(state)
    assert savepoint.load() is None
    savepoint.clear()


def test_lines_of_several_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    pids = []
    for worker in range(3):
        pid = os.fork()
        if pid == 0:
            for step in range(100):
                append_line(path, {"worker": worker, "step": step, "pad": "x" * 300})
            os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
    lines = read_lines(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(lines) == 300
    for worker in range(3):
        assert [line["step"] for line in lines if line["worker"] == worker] == list(range(100))
    assert all(json.dumps(line) for line in lines)


def test_a_disk_that_was_slow_once_does_not_make_savepoints_rare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = [0.0], list[float]()
    monkeypatch.setattr("wmdd.storage.savepoint.time.monotonic", lambda: clock[0])
    savepoint = Savepoint(tmp_path / "state", "key")

    def state() -> dict[str, torch.Tensor]:
        saved.append(clock[0])
        clock[0] += 5 if clock[0] == 10 else 0  # seconds that saving takes
        return {"x": torch.ones(1)}

    for now in (*range(1, 12), *range(16, 20), *range(510, 520)):
        clock[0] = now
        savepoint.offer(state)
    assert saved == [*range(1, 11), *range(515, 520)]  # a hundred times the five seconds later, and as before


def test_what_is_written_piece_by_piece_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    write_with(tmp_path / "file", lambda file: [file.write(part) for part in (b"a", b"bc")])
    assert (tmp_path / "file").read_bytes() == b"abc"
    with pytest.raises(RunError, match="No space left"):
        write_with(tmp_path / "file", broken)
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["file"]


def test_tensors_may_be_left_out(tmp_path: Path) -> None:
    write_tensors(tmp_path / "file", {"large": torch.ones(9), "small": torch.zeros(2)}, {"b": "2", "a": "1"})
    tensors, metadata = read_tensors(tmp_path / "file", without=("large",))
    assert list(tensors) == ["small"]
    assert metadata == {"a": "1", "b": "2"}
