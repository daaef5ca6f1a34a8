"""The images under optimisation: Adam on their pixels, within the range that 8-bit images can show."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.adam import adam

_BETAS = (0.5, 0.9)  # as published
_STATE = ("exp_avg", "exp_avg_sq", "step")


class Pixels:
    """``values [M, C, S, S]``, a leaf that gathers gradients, and Adam's state (arXiv 1412.6980).

    The functional form of torch's Adam: the class would import its compiler first, a second of every start.
    """

    def __init__(self, start: Tensor, lower: Tensor, upper: Tensor) -> None:
        self.values = start.clone().requires_grad_()
        self._bounds = lower, upper
        self._state = {name: torch.zeros_like(start) for name in _STATE[:2]} | {
            "step": start.new_zeros((), dtype=torch.float32)
        }
        self._clamp()

    def step(self, lr: float) -> None:
        """One step against the gathered gradient, which is then forgotten; then back into the bounds."""
        gradient = self.values.grad
        assert gradient is not None, "a step needs a gradient"
        self.values.grad = None
        mean, square, step = ([self._state[name]] for name in _STATE)
        with torch.no_grad():
            adam(
                [self.values],
                [gradient],
                mean,
                square,
                [],
                step,
                fused=True,
                amsgrad=False,
                beta1=_BETAS[0],
                beta2=_BETAS[1],
                lr=lr,
                weight_decay=0,
                eps=1e-8,
                maximize=False,
            )
        self._clamp()

    @torch.no_grad()
    def _clamp(self) -> None:
        self.values.clamp_(*self._bounds)

    def state(self) -> dict[str, Tensor]:
        """Everything that is needed to go on from here, as plain tensors."""
        return {"pixels": self.values.detach()} | {f"adam/{name}": value for name, value in self._state.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`state` returned."""
        self.values.copy_(state["pixels"])
        for name, value in self._state.items():
            value.copy_(state[f"adam/{name}"])
