"""The frozen network that observes images."""

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from wmdd.core.types import Moments, Observation, Preprocessing
from wmdd.models.classifier import as_features, find_classifiers
from wmdd.models.moments import of_whole
from wmdd.models.taps import norm_layers, tap_input, tap_moments


class Teacher:
    """A frozen network in eval mode, with what it needs to be used: preprocessing and class names.

    ``arch`` and ``stem`` say how it was built; ``sha256`` is the hash of its weights file. Raises ``ModelError`` where
    the network has no norm layers, or no layer whose input are its features.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        arch: str,
        stem: str,
        preprocessing: Preprocessing,
        class_names: tuple[str, ...],
        sha256: str = "",
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.arch = arch
        self.stem = stem
        self.preprocessing = preprocessing
        self.class_names = class_names
        self.sha256 = sha256
        self._norms = norm_layers(network)
        self._classifiers = find_classifiers(network, self._random_image(), arch)

    def logits(self, x: Tensor) -> Tensor:
        """Class scores ``[B, K]`` of a normalised batch ``[B, C, S, S]``."""
        scores: Tensor = self.network(x)
        return scores

    def observe(self, x: Tensor) -> Observation:
        """Logits, penultimate features and per-image moments at every norm layer, in one forward pass.

        ``x [B, C, S, S]`` is normalised; differentiable with respect to it. Features are the classifier's input
        ``[B, D]`` (see :func:`wmdd.models.classifier.find_classifiers`); moments are those of the norm layers' inputs
        (see :func:`wmdd.models.taps.norm_layers`).
        """
        moments: dict[str, Moments] = {}
        features: list[Tensor] = []
        with ExitStack() as hooks:
            for name, (layer, channel_dim) in self._norms.items():
                hooks.enter_context(tap_moments(layer, channel_dim, _recorder(moments, name)))
            for classifier in self._classifiers:
                hooks.enter_context(tap_input(classifier, features.append))
            logits = self.logits(x)
        assert features, f"no classifier of {self.arch} runs"
        return Observation(logits, as_features(features), {name: of_whole(m, len(x)) for name, m in moments.items()})

    @torch.no_grad()
    def num_features(self) -> int:
        """The feature width D."""
        return self.observe(self._blank()).features.shape[1]

    def _blank(self) -> Tensor:
        weight = next(self.network.parameters())
        return self.preprocessing.blank(dtype=weight.dtype, device=weight.device)

    def _random_image(self) -> Tensor:
        blank = self._blank()  # of zeros alone, layers without bias would all look alike
        return torch.rand(blank.shape, generator=torch.Generator().manual_seed(0)).to(blank)


def _recorder(moments: dict[str, Moments], name: str) -> Callable[[Moments], None]:
    def record(value: Moments) -> None:
        assert name not in moments, f"norm layer {name} runs twice in one forward pass"
        moments[name] = value

    return record
