"""The frozen network that observes images."""

from collections.abc import Callable
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from wmdd.core.errors import ModelError
from wmdd.core.types import Moments, Observation, Preprocessing
from wmdd.models.taps import norm_layers, tap_input, tap_moments


class Teacher:
    """A frozen network in eval mode, with what it needs to be used: preprocessing and class names.

    ``arch`` and ``stem`` say how it was built; ``sha256`` is the hash of its weights file.
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
        classifier = network.get_classifier() if hasattr(network, "get_classifier") else None  # type: ignore[operator]
        if not isinstance(classifier, nn.Module):
            raise ModelError(f"{arch} has no single classifier layer, so its features cannot be observed.")
        self._classifier = classifier

    def logits(self, x: Tensor) -> Tensor:
        """Class scores ``[B, K]`` of a normalised batch ``[B, C, S, S]``."""
        scores: Tensor = self.network(x)
        return scores

    def observe(self, x: Tensor) -> Observation:
        """Logits, penultimate features and per-image moments at every norm layer, in one forward pass.

        ``x [B, C, S, S]`` is normalised; differentiable with respect to it. Features are the classifier's input
        ``[B, D]``; moments are those of the norm layers' inputs (see :func:`wmdd.models.taps.norm_layers`).
        """
        moments: dict[str, Moments] = {}
        features: list[Tensor] = []
        with ExitStack() as hooks:
            for name, (layer, channel_dim) in self._norms.items():
                hooks.enter_context(tap_moments(layer, channel_dim, _recorder(moments, name)))
            hooks.enter_context(tap_input(self._classifier, lambda value: features.append(value.flatten(1))))
            logits = self.logits(x)
        return Observation(logits, features[0], moments)

    @torch.no_grad()
    def num_features(self) -> int:
        """The feature width D."""
        weight = next(self.network.parameters())
        return self.observe(self.preprocessing.blank(dtype=weight.dtype, device=weight.device)).features.shape[1]


def _recorder(moments: dict[str, Moments], name: str) -> Callable[[Moments], None]:
    def record(value: Moments) -> None:
        assert name not in moments, f"norm layer {name} runs twice in one forward pass"
        moments[name] = value

    return record
