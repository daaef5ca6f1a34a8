"""Bad input: one clear sentence on stderr, exit code 2, no traceback, and nothing that was there is lost."""

import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from coloured_images import TINY, TINY_TEACHER, Refused

from wmdd.cli.main import main
from wmdd.config.load import to_values
from wmdd.models import build_network
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.storage.json import read_sealed, write_sealed

WMDD = Path(sys.executable).with_name("wmdd")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Where a run may be begun."""
    return tmp_path / "run"


# --- images -----------------------------------------------------------------------------------------------------------


def huge_png(path: Path) -> None:
    """A PNG whose header claims 100,000 by 100,000 pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND"]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    )


def first_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def link_to(target: str) -> Callable[[Path], None]:
    def link(path: Path) -> None:
        path.unlink()
        path.symlink_to(target)

    return link


SPOILT = {
    "bytes that are no image": (lambda path: path.write_bytes(bytes(range(256))), "not a readable PNG"),
    "truncated": (first_half, "is damaged"),
    "empty": (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "text": (lambda path: path.write_text("no image"), "not a readable PNG"),
    "too many pixels": (huge_png, "pixels: store it at a smaller size"),
    "link to nowhere": (link_to("nowhere.png"), "neither a file nor a link to one"),
    "link to itself": (link_to("3.png"), "3.png"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_an_image_that_cannot_be_read(how: str, colours: Path, run: Path, refused: Refused) -> None:
    spoil, reason = SPOILT[how]
    spoil(colours / "green" / "3.png")
    refused(["run", run, "--data", colours, *TINY], "green/3.png", reason, begun=run)


def test_an_image_that_cannot_be_read_while_it_is_streamed(colours: Path, run: Path, refused: Refused) -> None:
    first_half(colours / "green" / "3.png")
    refused(["run", run, "--data", colours, *TINY, "--data.memory_gb", "0"], "green/3.png", "is damaged", begun=run)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_among_the_images(colours: Path, run: Path, refused: Refused) -> None:
    os.mkfifo(colours / "green" / "pipe.png")
    refused(["run", run, "--data", colours, *TINY], "green/pipe.png", "neither a file")


def test_a_missing_folder(tmp_path: Path, run: Path, refused: Refused) -> None:
    refused(["run", run, "--data", tmp_path / "nowhere", *TINY], tmp_path / "nowhere", "does not exist")


def test_a_file_for_a_folder(colours: Path, run: Path, refused: Refused) -> None:
    refused(["run", run, "--data", colours / "red" / "0.png", *TINY], "red/0.png", "is neither a folder nor a .zip")


def test_an_empty_name_for_a_folder(run: Path, refused: Refused) -> None:
    refused(["run", run, "--data", "", *TINY], "data.source is empty")


def test_no_class(tmp_path: Path, run: Path, refused: Refused) -> None:
    (tmp_path / "bare").mkdir()
    refused(["run", run, "--data", tmp_path / "bare", *TINY], tmp_path / "bare", "no class folders")


def test_one_class(colours: Path, run: Path, refused: Refused) -> None:
    shutil.rmtree(colours / "red")
    shutil.rmtree(colours / "green")
    refused(["run", run, "--data", colours, *TINY], colours, "only the class 'blue'", "at least two")


def test_an_empty_class(colours: Path, run: Path, refused: Refused) -> None:
    (colours / "white").mkdir()
    refused(["run", run, "--data", colours, *TINY], colours / "white", "has no images")


def test_a_class_of_one_image(colours: Path, run: Path, refused: Refused) -> None:
    for i in range(1, 6):
        (colours / "red" / f"{i}.png").unlink()
    refused(["run", run, "--data", colours, *TINY], "red/0.png", "the only image of its class")


def test_a_class_that_is_not_in_both_splits(colours: Path, tmp_path: Path, run: Path, refused: Refused) -> None:
    shutil.copytree(colours, tmp_path / "split" / "train")
    shutil.copytree(colours, tmp_path / "split" / "val")
    shutil.rmtree(tmp_path / "split" / "val" / "green")
    refused(["run", run, "--data", tmp_path / "split", *TINY], "split/val", "lacks the class 'green'")


def test_a_link_in_a_circle(colours: Path, run: Path, refused: Refused) -> None:
    (colours / "red" / "more").symlink_to(colours, target_is_directory=True)
    refused(["run", run, "--data", colours, *TINY], "red/more", "symbolic link back to")


def test_a_data_folder_that_is_a_link_to_itself(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    refused(["run", "--data", "loop", *TINY], "loop does not exist")


def test_a_class_name_that_is_not_utf8(colours: Path, run: Path, refused: Refused) -> None:
    (colours / "red").rename(os.fsdecode(bytes(colours) + b"/r\xffd"))
    refused(["run", run, "--data", colours, *TINY], "is not UTF-8: rename it")


def test_a_data_folder_that_is_not_utf8(colours: Path, run: Path, refused: Refused) -> None:
    renamed = colours.rename(os.fsdecode(bytes(colours) + b"\xff"))
    refused(["run", run, "--data", renamed, *TINY], "is not UTF-8: rename it")


def test_names_with_spaces_and_letters_of_all_kinds_work(colours: Path, tmp_path: Path) -> None:
    (colours / "red").rename(colours / "rouge été #1: 赤")
    data = colours.rename(tmp_path / "meine Bilder, größer – 画像")
    run = tmp_path / "mein Lauf № 1"
    assert main(["run", str(run), "--data", str(data), *TINY]) == 0
    assert "rouge été #1: 赤" in RunDirectory(run).data()["classes"]
    assert main(["info", str(run)]) == 0
    assert main(["run", str(run), "-q"]) == 0


def test_a_tilde_is_the_home_folder(colours: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(colours.parent))
    assert main(["teacher", str(run), "--data", "~/colours", *TINY_TEACHER]) == 0
    assert RunDirectory(run).config().data.source == str(colours)


def test_more_images_per_class_than_there_are(colours: Path, run: Path, refused: Refused) -> None:
    (colours / "green" / "0.png").unlink()
    refused(["run", run, "--data", colours, *TINY, "--ipc", "5"], "ipc is 5", "'green' has only 4")


# --- settings ---------------------------------------------------------------------------------------------------------

VALUES = [
    (["--ipc", "0"], ["ipc is 0", "at least 1"]),
    (["--ipc", "-3"], ["ipc is -3", "at least 1"]),
    (["--ipc", "ten"], ["ipc is 'ten'", "a whole number"]),
    (["--ipc", "2.5"], ["ipc is 2.5", "a whole number"]),
    (["--ipc", "true"], ["ipc is True", "a whole number"]),
    (["--ipc", ""], ["ipc is None", "a whole number"]),
    (["--ipc", "[" * 9000], ["ipc is", "a whole number"]),
    (["--ipc", "9" * 5000], ["ipc is", "a whole number"]),
    (["--ipc", "10000000000000"], ["ipc is 10000000000000", "at most 1000000000"]),
    (["--seed", "-1"], ["seed is -1", "at least 0"]),
    (["--data.image_size", "4"], []),
    (["--image-size", "4"], ["data.image_size is 4", "at least 8"]),
    (["--image-size", "100000"], ["data.image_size is 100000", "at most 4096"]),
    (["--data.flip", "perhaps"], ["data.flip is 'perhaps'", "true or false"]),
    (["--data.validation", "1"], ["data.validation is 1", "below 1"]),
    (["--data.memory_gb", "inf"], ["data.memory_gb is inf", "finite"]),
    (["--data.workers", "1000000"], ["data.workers is 1000000", "at most 256"]),
    (["--steps", "-1"], ["synthesis.steps is -1", "at least 0"]),
    (["--synthesis.lr", "nan"], ["synthesis.lr is 'nan'", "a number"]),
    (["--synthesis.lr", ".nan"], ["synthesis.lr is nan", "a finite number"]),
    (["--synthesis.lr", ".inf"], ["synthesis.lr is inf", "a finite number"]),
    (["--synthesis.lr", "1e999"], ["synthesis.lr is inf", "a finite number"]),
    (["--synthesis.jitter", "2"], ["synthesis.jitter is 2", "at most 1"]),
    (["--synthesis.group_size", "0"], ["synthesis.group_size is 0", "auto or a whole number of at least 1"]),
    (["--synthesis.init", "zeros"], ["synthesis.init is 'zeros'", "real, random, herding, k-center, patches or noise"]),
    (["--solver", "magic"], ["barycenters.solver is 'magic'", "exact, uniform, floored or paper"]),
    (["--teacher.momentum", "0"], ["teacher.nesterov needs a teacher.momentum above 0"]),
    (["--protocols", "wmdd,best"], ["evaluation.protocols has 'best'", "wmdd-paper"]),
    (["--protocols", ""], ["evaluation.protocols"]),
    (["--seeds", "0,1,0"], ["evaluation.seeds is [0, 1, 0]", "none twice"]),
    (["--seeds", "one"], ["evaluation.seeds is ['one']", "a whole number"]),
    (["--students", "convnet3,convnet3"], ["evaluation.students", "none twice"]),
    (["--device", "gpu"], ["runtime.device 'gpu'", "cpu, cuda or cuda:N"]),
    (["--device", "gpu", "--runtime.precision", "auto"], ["runtime.device 'gpu'", "cpu, cuda or cuda:N"]),
    (["--device", "meta"], ["runtime.device 'meta'", "cpu, cuda or cuda:N"]),
    (["--device", "cuda:99"], ["runtime.device is 'cuda:99'", "CUDA devices here"]),
    (["--runtime.threads", "0"], ["runtime.threads is 0", "at least 1"]),
    (["--runtime.threads", "99999"], ["runtime.threads is 99999", "at most 1024"]),
    (["--arch", "resnet81"], ["no network 'resnet81'", "did you mean"]),
    (["--students", "resnet18,nothing_at_all"], ["no network 'nothing_at_all'", "timm"]),
    (["--teacher.checkpoint", "/no/such.pt"], ["/no/such.pt does not exist"]),
    (["--preset", "wmdd-papers"], ["no preset 'wmdd-papers'", "wmdd-paper"]),
    (["--config", "/no/such.yaml"], ["/no/such.yaml cannot be read", "No such file"]),
    (["--config", "/"], ["settings file / cannot be read", "directory"]),
    (["--shard", "2/2"], ["--shard '2/2'", "0 <= i < n"]),
    (["--shard", "first"], ["--shard 'first'", "0 <= i < n"]),
    (["--shard", "0/" + "9" * 5000], ["--shard", "0 <= i < n"]),
    (["--redo", "nothing"], ["--redo is 'nothing'", "synthesis"]),
    (["--stepz", "3"], ["--stepz is not a flag", "did you mean --steps?"]),
    (["--synthesis.stepz=3"], ["--synthesis.stepz is not a flag", "did you mean --synthesis."]),
    (["--ipc"], ["--ipc", "expected one argument"]),
    (["one", "more"], ["one word too many"]),
]


@pytest.mark.parametrize(("words", "parts"), VALUES, ids=lambda value: " ".join(value)[:40] if value else "-")
def test_a_bad_value_is_refused_before_anything_is_begun(
    words: list[str], parts: list[str], pristine_colours: Path, run: Path, refused: Refused
) -> None:
    refused(["run", run, "--data", pristine_colours, *TINY, *words], *parts)


def test_a_bad_value_leaves_a_finished_run_alone_even_with_redo(finished: Path, refused: Refused) -> None:
    refused(["run", finished, "--redo", "teacher", "--arch", "resnet81"], "no network 'resnet81'")
    refused(["run", finished, "--redo", "teacher", "--steps", "-1"], "synthesis.steps")
    refused(["run", finished, "--redo", "teacher", "--students", "no_net"], "no network 'no_net'")
    refused(["run", finished, "--redo", "teacher", "--device", "cuda:99"], "cuda:99")
    refused(["run", finished, "--redo", "teacher", "--data", "/nowhere"], "/nowhere does not exist")
    refused(["synthesize", finished, "--redo", "teacher"], "--redo is 'teacher'", "makes only synthesis")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_cuda_where_there_is_none(precision: str, pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["--device", "cuda", "--runtime.precision", precision]
    refused(["run", run, "--data", pristine_colours, *TINY, *words], "'cuda'", "0 CUDA devices", "cpu")


def test_a_network_that_cannot_take_the_images(pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["run", run, "--data", pristine_colours, *TINY]
    refused([*words, "--arch", "inception_v3"], "'inception_v3' cannot take images of 16 px")
    refused([*words, "--students", "inception_v3"], "'inception_v3' cannot take images of 16 px")


def test_a_network_that_cannot_be_observed(pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["run", run, "--data", pristine_colours, *TINY, "--image-size", "32"]
    refused([*words, "--arch", "vgg11"], "norm layers")


def test_batches_of_one_image(pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["run", run, "--data", pristine_colours, *TINY, "--image-size", "32"]
    for size in (1, 2):  # 15 images in twos leave one
        refused(
            [*words, "--arch", "resnet18", "--teacher.stem", "imagenet", "--teacher.batch_size", size],
            "'resnet18' cannot be trained on a batch of one image of 32 px",
            "raise teacher.batch_size",
        )


def test_more_than_fits_into_memory(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = Path("/proc/self/statm")
    if not status.is_file():
        pytest.skip("the memory in use cannot be told here")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(status.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4_000_000_000, hard))
    try:
        words = ["synthesize", str(finished), "--redo", "synthesis", "--steps", "1000000000", "-q"]
        assert main(words) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    error = capsys.readouterr().err
    assert error.startswith("wmdd: there is not enough memory for these settings: lower ")
    assert error.count("\n") == 1


SECTIONS = {
    "": ("icp", "ipc"),
    "data": ("image_sise", "data.image_size"),
    "teacher": ("epoch", "teacher.epochs"),
    "barycenters": ("restart", "barycenters.restarts"),
    "synthesis": ("step", "synthesis.steps"),
    "evaluation": ("student", "evaluation.students"),
    "runtime": ("thread", "runtime.threads"),
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_misspelt_key(section: str, pristine_colours: Path, run: Path, tmp_path: Path, refused: Refused) -> None:
    wrong, right = SECTIONS[section]
    file = tmp_path / "settings.yaml"
    file.write_text(f"{section}:\n  {wrong}: 1\n" if section else f"{wrong}: 1\n")
    name = f"{section}.{wrong}" if section else wrong
    words = ["run", run, "--data", pristine_colours, "--config", file]
    refused(words, file, f"{name} is not a setting", f"did you mean {right}?")


def test_every_section_is_tried() -> None:
    from wmdd.config import RunConfig

    assert set(SECTIONS) == {""} | {name for name, value in to_values(RunConfig()).items() if isinstance(value, dict)}


YAML = {
    "a section that does not exist": ("synthesys: {steps: 3}", ["synthesys is not a setting", "synthesis?"]),
    "a list": ("- ipc\n- 3", ["must hold a mapping", "['ipc', 3]"]),
    "a word": ("ipc", ["must hold a mapping", "'ipc'"]),
    "no YAML": ("ipc: 3\nsynthesis: {steps: 3", ["is not YAML", "line 2"]),
    "a tab": ("data:\n\timage_size: 32", ["is not YAML", "line 2, column 1"]),
    "no such day": ("ipc: 2020-13-45", ["is not YAML", "month"]),
    "an odd tag": ("ipc: !!timestamp x", ["is not YAML"]),
    "a Python object": ("ipc: !!python/object/apply:os.mkdir [pwned]", ["is not YAML", "line 1"]),
    "an endless number": ("ipc: " + "9" * 5000, ["is not YAML", "4300"]),
    "too deep": ("[" * 5000, ["is not YAML", "nested too deeply"]),
    "a key twice": ("ipc: 3\nseed: 1\nipc: 4", ["'ipc' is given twice", "line 3"]),
    "an empty section": ("synthesis:", ["synthesis must be a mapping", "not None"]),
    "a value for a section": ("data: ./images", ["data must be a mapping", "'./images'"]),
    "itself": ("&a {ipc: *a}", ["ipc is", "a whole number"]),
    "a word for a number": ("ipc: ten", ["ipc is 'ten'", "a whole number"]),
    "a number for a word": ("teacher: {arch: 18}", ["teacher.arch is 18", "a text"]),
    "a word for a list": ("evaluation: {students: resnet18}", ["evaluation.students is 'resnet18'", "a list"]),
    "a bool for a number": ("synthesis: {lr: yes}", ["synthesis.lr is True", "a number above 0"]),
    "not a number": ("teacher: {lr: .nan}", ["teacher.lr is nan", "a finite number"]),
    "a huge number": (f"teacher: {{lr: 1{'0' * 400}}}", ["teacher.lr is 1", "a number"]),
    "laughs": (
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
        + "ipc: *j",
        ["a is not a setting"],
    ),
    "laughs for a value": (
        "ipc: [&a [x, x, x, x, x, x, x, x, x], "
        + ", ".join(f"&{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
        + "]",
        ["ipc is [", "a whole number"],
    ),
}


@pytest.mark.parametrize("what", YAML)
def test_a_bad_settings_file(
    what: str, run: Path, tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text, parts = YAML[what]
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    sentence = refused(["run", run, "--config", file], *parts)
    assert len(sentence) < 600


def test_a_settings_file_of_other_bytes(run: Path, tmp_path: Path, refused: Refused) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"ipc: \xff\xfe")
    refused(["run", run, "--config", file], file, "is not UTF-8 text")
    file.write_bytes(b"ipc: \x00")
    refused(["run", run, "--config", file], file, "is not YAML")


# --- checkpoints ------------------------------------------------------------------------------------------------------


class Bomb:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("legacy", [True, False])
def test_a_pickle_bomb_does_not_go_off(
    legacy: bool, pristine_colours: Path, run: Path, tmp_path: Path, refused: Refused
) -> None:
    bomb = tmp_path / "bomb.pt"
    torch.save({"weight": Bomb(tmp_path / "pwned")}, bomb, _use_new_zipfile_serialization=not legacy)
    words = ["run", run, "--data", pristine_colours, *TINY, "--teacher.checkpoint", bomb]
    refused(words, bomb, "was refused", "plain tensors")
    bomb.write_bytes(pickle.dumps(Bomb(tmp_path / "pwned")))
    refused(words, bomb, "was refused", "plain tensors")
    assert not (tmp_path / "pwned").exists()
    pickle.loads(bomb.read_bytes())
    assert (tmp_path / "pwned").exists()  # it was a live one


def test_checkpoints_that_do_not_fit(pristine_colours: Path, run: Path, tmp_path: Path, refused: Refused) -> None:
    file = tmp_path / "weights.pt"
    words = ["run", run, "--data", pristine_colours, *TINY, "--teacher.checkpoint", file]
    state = build_network("convnet3", 5, 16, "small").state_dict()
    torch.save(state, file)
    refused(words, file, "is for 5 classes ('classifier.bias' has so many rows), but the data have 3: give weights")
    torch.save({"other": state["classifier.bias"]}, file)
    refused(words, file, "is not of convnet3", "lacks")
    torch.save({1: state["classifier.bias"]}, file)
    refused(words, file, "is not a state dict")
    torch.save([1, 2, 3], file)
    refused(words, file, "is not a state dict")
    file.write_bytes(b"")
    refused(words, file, "was refused")
    refused([*words[:-1], tmp_path], tmp_path, "does not exist")
    damaged = tmp_path / "weights.safetensors"
    damaged.write_bytes(b"no tensors")
    refused([*words[:-1], damaged], damaged, "not a readable safetensors file")


def test_a_teacher_near_chance(pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["run", run, "--data", pristine_colours, *TINY, "--data.validation", "0.5"]
    untrained = ["--teacher-epochs", "1", "--teacher.lr", "1e-9"]
    refused([*words, *untrained], "near chance (33.3 %)", "--redo teacher", begun=run)
    assert main([*map(str, words), "--redo", "teacher", "--teacher.lr", "0.05"]) == 0


# --- the folder of the run --------------------------------------------------------------------------------------------


def test_a_folder_that_holds_something_else(pristine_colours: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    words = ["--data", pristine_colours, *TINY]
    refused(["run", tmp_path / "mine", *words], tmp_path / "mine", "'thesis.tex' but no run")
    refused(["teacher", tmp_path / "mine", "--data", pristine_colours], tmp_path / "mine", "'thesis.tex' but no run")


def test_a_file_for_a_run(pristine_colours: Path, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    words = ["--data", pristine_colours, *TINY]
    refused(["run", tmp_path / "file", *words], tmp_path / "file", "is a file")
    refused(["run", tmp_path / "loop", *words], tmp_path / "loop", "link to nowhere")
    refused(["run", tmp_path / "file" / "run", *words], tmp_path / "file" / "run", "Not a directory")
    refused(["run", tmp_path / ("x" * 300), *words], "File name too long")
    refused(["run", tmp_path / "\udcff", *words], "not a UTF-8 name")


def test_a_run_among_its_own_images(colours: Path, tmp_path: Path, refused: Refused) -> None:
    refused(["run", colours / "run", "--data", colours, *TINY], colours / "run", "lies among the images")
    colours.rename(tmp_path / "train")
    place = tmp_path / "train" / "red" / "run"
    refused(["run", place, "--data", tmp_path, *TINY], place, "lies among the images")


@pytest.mark.parametrize("verb", ["info", "statistics", "barycenters", "synthesize", "relabel", "evaluate", "report"])
def test_a_verb_on_a_folder_that_is_no_run(verb: str, tmp_path: Path, refused: Refused) -> None:
    refused([verb, tmp_path / "nowhere"], tmp_path / "nowhere", "no run", "wmdd run")


@pytest.mark.parametrize("verb", ["statistics", "barycenters", "synthesize", "relabel", "evaluate"])
def test_a_stage_before_its_inputs(verb: str, finished: Path, refused: Refused) -> None:
    shutil.rmtree(finished / "artifacts")
    refused([verb, finished, "-q"], finished, "run `wmdd ", "first")


def test_a_teacher_that_another_shard_makes(pristine_colours: Path, run: Path, refused: Refused) -> None:
    words = ["--data", pristine_colours, *TINY_TEACHER, "--shard", "1/2"]
    refused(["teacher", run, *words], run, "no finished teacher yet", begun=run)


def test_other_images_than_the_run_was_begun_with(
    colours: Path, finished: Path, tmp_path: Path, refused: Refused
) -> None:
    (colours / "red" / "6.png").write_bytes((colours / "red" / "5.png").read_bytes())
    refused(["run", finished, "--data", colours, "-q"], finished, "other images", "new folder")
    refused(["run", finished, "--data", "digits", "--redo", "teacher", "-q"], finished, "other images")


CHANGED = {
    "teacher": ["--teacher-epochs", "3"],
    "barycenters": ["--solver", "exact"],
    "synthesis": ["--steps", "3"],
    "relabel": ["--runtime.batch_size", "7"],
}


@pytest.mark.parametrize("stage", CHANGED)
def test_changed_settings_of_a_finished_stage(stage: str, finished: Path, refused: Refused) -> None:
    words = ["run", str(finished), "-q", *CHANGED[stage]]
    refused(words, finished, f"when {stage} was made", f"--redo {stage}")
    before = (finished / "results.json").read_bytes()
    assert main([*words, "--redo", stage]) == 0
    assert (finished / "results.json").read_bytes() != before


# --- damage -----------------------------------------------------------------------------------------------------------


def flip(path: Path, place: float = 0.5) -> None:
    """Change one bit."""
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)


DAMAGED = {
    "teacher": "artifacts/teacher/teacher.safetensors",
    "statistics": "artifacts/statistics/group-000.safetensors",
    "barycenters": "artifacts/barycenters/group-000.safetensors",
    "synthesis": "artifacts/synthesis/group-000/class-0001/000.png",
    "relabel": "artifacts/relabel/wmdd-1-epochs--wmdd--epochs-0000.safetensors",
    "evaluation": "artifacts/evaluation/wmdd-1-epochs--wmdd--convnet3--seed-0.json",
}


def artifacts(run: Path) -> dict[str, bytes]:
    """All that the stages made, by path; records tell of times, which differ."""
    files = (path for path in (run / "artifacts").rglob("*") if path.is_file() and path.parent.name != "units")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("stage", DAMAGED)
def test_a_damaged_or_missing_artifact_is_made_again(
    stage: str, finished: Path, pristine_run: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / DAMAGED[stage]
    flip(path)
    refused(["report", finished], path, "is damaged", f"`wmdd run {finished}` makes it again")
    assert main(["run", str(finished)]) == 0
    assert f"{path} is damaged (its hash is not the recorded one); made again" in capsys.readouterr().err
    assert artifacts(finished) == artifacts(pristine_run)
    path.unlink()
    refused(["report", finished], path, "is missing", f"`wmdd run {finished}` makes it again")
    assert main(["run", str(finished)]) == 0
    assert f"{path} is missing" in capsys.readouterr().err
    assert artifacts(finished) == artifacts(pristine_run)
    path.unlink()
    path.mkdir()
    assert main(["run", str(finished), "-q"]) == 2
    said = capsys.readouterr().err
    assert str(path) in said
    assert said.count("\n") == 1
    path.rmdir()
    assert main(["run", str(finished), "-q"]) == 0
    assert artifacts(finished) == artifacts(pristine_run)


RECORD = "artifacts/synthesis/units/group-000.json"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"name"', '"nbme"'),
        ("group-000", "group-001"),
        ('"covers"', '"cowers"'),
        ('"classes"', '"clasres"'),
        ("{", "["),
        ("class-0001/000", "class-0005/000"),
        ("artifacts/synthesis/group-000/class-0001/000.png", "../../../../../../../etc/hostname"),
        ('"key": "', '"key": "0'),
        ('"seconds": ', '"seconds": 1'),
        ("sha256_of_the_rest", "sha257_of_the_rest"),
    ],
)
def test_a_damaged_record_of_a_unit(
    old: str, new: str, finished: Path, pristine_run: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / RECORD
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    refused(["report", finished], path, "is damaged")
    assert main(["run", str(finished)]) == 0
    assert f"{path} is damaged; made again" in capsys.readouterr().err
    assert artifacts(finished) == artifacts(pristine_run)


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"[1]", b"null", b"{}", b'{"sha256_of_the_rest": "\\ud800"}'])
def test_a_record_that_is_none(content: bytes, finished: Path, pristine_run: Path) -> None:
    (finished / RECORD).write_bytes(content)
    assert main(["run", str(finished), "-q"]) == 0
    assert artifacts(finished) == artifacts(pristine_run)


def test_a_record_that_names_a_file_outside_is_not_followed(finished: Path, refused: Refused) -> None:
    values = read_sealed(finished / RECORD)
    write_sealed(finished / RECORD, {**values, "files": {"../../secret": "0" * 64}})
    refused(["run", finished, "-q"], finished, "names a file outside itself")


def test_a_damaged_manifest_is_gathered_again(
    finished: Path, refused: Refused, capsys: pytest.CaptureFixture[str]
) -> None:
    path = finished / "manifest.json"
    original = path.read_text()
    for content in ("", "{}", "[]", '{"data": 3}', original.replace('"train": 15', '"train": 16')):
        path.write_text(content)
        refused(["info", finished], path, "damaged", "gathers it again")
        assert main(["run", str(finished)]) == 0
        assert f"{path} is damaged" in capsys.readouterr().err
        assert path.read_text() == original
    path.unlink()
    assert main(["run", str(finished), "-q"]) == 0
    assert RunDirectory(finished).data()["train"] == 15


def test_damaged_results(finished: Path, refused: Refused) -> None:
    path = finished / "results.json"
    original = path.read_bytes()
    for content in ("", "{}", "[]", '{"scores": [3]}', '{"scores": [], "teacher": {}}'):
        path.write_text(content)
        assert main(["info", str(finished)]) == 2
    path.unlink()
    assert main(["evaluate", str(finished), "-q"]) == 0
    assert path.read_bytes() == original


def test_damaged_settings_of_a_run(finished: Path, refused: Refused) -> None:
    path = finished / "config.yaml"
    text = path.read_text()
    for content in (text.replace("batch_size: 1", "batch_size: 2", 1), text[:-10], text.replace("\n", "x", 1)):
        assert content != text
        path.write_text(content)
        refused(["run", finished, "-q"], path, "is damaged, or was edited", "remove its first line")
        refused(["info", finished], path, "is damaged, or was edited")
    path.write_text("")
    refused(["run", finished, "-q"], path, "is empty")


def test_hand_edited_settings_of_a_run(finished: Path, refused: Refused) -> None:
    path = finished / "config.yaml"
    text = path.read_text().partition("\n")[2]
    path.write_text(text.replace("steps: 2", "steps: 3"))
    refused(["run", finished, "-q"], finished, "made from other inputs or settings", "--redo synthesis")
    path.write_text(text.replace("steps: 2", "step: 2"))
    refused(["run", finished, "-q"], path, "synthesis.step is not a setting", "synthesis.steps?")
    refused(["info", finished], path, "synthesis.step is not a setting")
    path.write_text(text.replace("group_size: 3", "group_size: auto"))
    assert main(["info", str(finished)]) == 0


# --- the disk ---------------------------------------------------------------------------------------------------------


@contextmanager
def mounted(place: Path, options: str) -> Iterator[Path]:
    """A file system in memory."""
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("place", ["/proc/wmdd", "/sys/wmdd"])
def test_a_place_that_cannot_be_written(place: str, pristine_colours: Path, refused: Refused) -> None:
    if not Path(place).parent.is_dir():
        pytest.skip(f"there is no {Path(place).parent} here")
    refused(["run", place, "--data", pristine_colours, *TINY], place, "cannot be written")


def test_a_disk_that_is_read_only(pristine_colours: Path, pristine_run: Path, tmp_path: Path, refused: Refused) -> None:
    with mounted(tmp_path / "disk", "size=20m") as disk:
        shutil.copytree(pristine_run, disk / "run")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        refused(["run", disk / "new", "--data", pristine_colours, *TINY], disk / "new", "Read-only file system")
        refused(["run", disk / "run", "-q"], disk / "run", "cannot be written", "Read-only file system")
        refused(["run", disk / "run", "-q", "--redo", "teacher"], disk / "run", "cannot be removed", "Read-only")


def test_a_full_disk(pristine_colours: Path, tmp_path: Path, refused: Refused) -> None:
    with mounted(tmp_path / "disk", "size=400k") as disk:
        (disk / "mine").write_text("dear to me")
        words = ["run", disk / "run", "--data", pristine_colours, *TINY]
        refused(words, disk / "run", "No space left on device", begun=disk / "run")
        assert not list(disk.rglob("*.tmp"))
        subprocess.run(["mount", "-o", "remount,size=40m", disk], check=True)
        assert main([str(word) for word in words]) == 0
        assert (disk / "mine").read_text() == "dear to me"


def test_files_that_may_not_grow(pristine_colours: Path, run: Path, refused: Refused) -> None:
    """As a full disk, but everywhere: the teacher's weights are larger than files may be."""
    words = ["run", run, "--data", pristine_colours, *TINY]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        refused(words, "teacher.safetensors cannot be written: File too large", "nothing", begun=run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(run.rglob("*.tmp"))
    assert main([str(word) for word in words]) == 0


# --- real processes ---------------------------------------------------------------------------------------------------


def test_an_unknown_verb(refused: Refused) -> None:
    refused(["rum"], "'rum' is not a command", "did you mean run?")
    refused(["everything"], "'everything' is not a command", "synthesize")
    done = subprocess.run([WMDD, "rum"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "wmdd: 'rum' is not a command: did you mean run? (see `wmdd --help`).\n"


def test_output_that_nobody_reads(finished: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([WMDD, "report", finished], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode != 0
