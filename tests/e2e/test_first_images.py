"""Where synthesis starts, by the command line; without steps, the set is real images."""

import json
from pathlib import Path

import pytest
import torch
from coloured_images import TINY, Refused
from safetensors.torch import load_file

import wmdd
from wmdd.cli.main import main
from wmdd.pipeline.run_directory import RunDirectory
from wmdd.pipeline.workspace import Workspace
from wmdd.runtime.progress import Reporter


def test_without_steps_the_set_is_real_images_of_the_class(finished: Path) -> None:
    sets = {}
    for init in ("real", "random", "herding", "k-center"):
        words = ["--redo", "synthesis", "--synthesis.init", init, "--steps", "0", "-q"]
        assert main(["synthesize", str(finished), *words]) == 0
        sets[init] = wmdd.load(finished)
        assert sets[init].images.unique(dim=0).shape == sets[init].images.shape
    run = RunDirectory(finished)
    real = Workspace(run, run.config(), Reporter(quiet=True)).train
    pixels = real.take(torch.arange(len(real)))
    for found in sets.values():
        for image, label in zip(found.images, found.labels, strict=True):
            assert bool((pixels[real.labels == label] == image).flatten(1).all(1).any())


@pytest.mark.parametrize(("init", "real"), [("real", True), ("patches", True), ("noise", False)])
def test_the_manifest_says_whether_real_pixels_are_in(init: str, real: bool, finished: Path) -> None:
    assert (
        main(["synthesize", str(finished), "--redo", "synthesis", "--synthesis.init", init, "--steps", "1", "-q"]) == 0
    )
    assert json.loads((finished / "manifest.json").read_text())["images"] == {"real_pixels": real}


@pytest.mark.parametrize(("init", "says"), [("real", "tied to its atom"), ("random", ""), ("patches", "crops of real")])
def test_the_page_says_what_images_without_steps_are(
    init: str, says: str, pristine_colours: Path, tmp_path: Path
) -> None:
    words = ["--data", str(pristine_colours), *TINY, "--steps", "0", "--synthesis.init", init]
    assert main(["run", str(tmp_path / "run"), *words]) == 0
    page = " ".join((tmp_path / "run/report/index.html").read_text().split())
    for text in ("tied to its atom", "crops of real"):
        assert (text in page) == (text == says)


def test_scores_go_with_the_set_that_they_are_of(finished: Path) -> None:
    assert (finished / "results.json").is_file()
    assert main(["synthesize", str(finished), "--redo", "synthesis", "--steps", "1", "-q"]) == 0
    assert not (finished / "results.json").exists()
    assert main(["export", str(finished), "--out", str(finished / "out")]) == 0
    assert json.loads((finished / "out" / "manifest.json").read_text())["scores"] == []


def test_a_real_image_is_at_no_distance_from_itself_in_bfloat16(pristine_colours: Path, tmp_path: Path) -> None:
    words = [*TINY, "--steps", "0", "--runtime.precision", "bfloat16"]
    assert main(["run", str(tmp_path / "run"), "--data", str(pristine_colours), *words]) == 0
    found = [load_file(path) for path in tmp_path.glob("run/artifacts/synthesis/*/class-*.safetensors")]
    assert len(found) == 3
    for facts in found:
        assert float(facts["nearest_distance"].max()) < 1e-3 * float(facts["features"].norm(dim=1).min())


def test_stitched_patches_and_global_statistics_by_the_command_line(finished: Path) -> None:
    words = ["--redo", "synthesis", "--synthesis.init", "patches", "-q"]
    assert main(["synthesize", str(finished), *words, "--steps", "0"]) == 0
    stitched = wmdd.load(finished).images
    more = ["--steps", "2", "--synthesis.feature", "0", "--synthesis.cross_entropy", "1"]
    rest = ["--synthesis.statistics_of", "all", "--synthesis.min_crop_start", "1"]
    assert main(["synthesize", str(finished), *words, *more, *rest]) == 0
    images = wmdd.load(finished).images
    assert images.shape == stitched.shape
    assert not torch.equal(images, stitched)


def test_nothing_to_minimise_is_refused(colours: Path, tmp_path: Path, refused: Refused) -> None:
    words = ["run", tmp_path / "run", "--data", colours, "--synthesis.feature", "0", "--synthesis.statistics", "0"]
    refused(words, "synthesis has nothing to minimise", "synthesis.cross_entropy")


def test_lambda_of_a_batch_is_shared_by_its_classes(finished: Path) -> None:
    words = ["synthesize", str(finished), "--redo", "synthesis", "--synthesis.init", "real", "--steps", "2", "-q"]

    def images(per: str, weight: float) -> torch.Tensor:
        own = ["--synthesis.statistics_per", per, "--synthesis.statistics", str(weight)]
        assert main([*words, *own]) == 0
        return wmdd.load(finished).images

    of_each = images("class", 0.5)
    assert torch.equal(images("batch", 1.5), of_each)  # three classes
    assert not torch.equal(images("batch", 0.5), of_each)
