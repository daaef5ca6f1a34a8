"""Feature losses by the command line: a divergence from the real features, in place of distances to the atoms."""

import json
from pathlib import Path

import pytest
from coloured_images import Refused

from wmdd.cli.main import main


@pytest.mark.parametrize("kind", ["wasserstein", "sinkhorn", "sliced", "mmd-gaussian", "mmd-energy", "mmd-linear"])
def test_a_divergence_as_feature_loss(kind: str, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("artifacts/synthesis/**/*.png")}
    words = ["--redo", "synthesis", "--synthesis.feature_loss", kind, "--synthesis.init", "noise"]
    assert main(["synthesize", str(finished), *words, "-q"]) == 0
    assert any(path.read_bytes() != content for path, content in before.items())
    lines = (finished / "metrics.jsonl").read_text().splitlines()
    terms = [line for line in map(json.loads, lines) if line.get("stage") == "synthesis"][-1]
    assert terms["feature"] > 0


def test_images_of_no_atom_weigh_alike(finished: Path) -> None:
    """Atoms' weights are none of theirs, though ``weighted`` asks for weights."""
    words = [
        "--redo",
        "synthesis",
        "--synthesis.feature_loss",
        "wasserstein",
        "--synthesis.init",
        "noise",
        "--steps",
        "9",
    ]
    images = []
    for weighted in ("true", "false"):
        assert main(["synthesize", str(finished), *words, "--synthesis.weighted", weighted, "-q"]) == 0
        images.append([path.read_bytes() for path in sorted(finished.rglob("artifacts/synthesis/**/*.png"))])
    assert images[0] == images[1] != []


def test_an_unknown_feature_loss_is_refused_with_the_known_ones(
    colours: Path, tmp_path: Path, refused: Refused
) -> None:
    words = ["run", tmp_path / "run", "--data", colours, "--synthesis.feature_loss", "mmd"]
    refused(words, "synthesis.feature_loss", "mmd-gaussian")
