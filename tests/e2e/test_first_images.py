"""Where synthesis starts, by the command line; without steps, the set is real images."""

from pathlib import Path

import torch

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
