"""The central types, with their shapes.

K classes, m images per class (IPC), M = K m synthetic images, N real images, D feature width, S side in pixels,
C channels of an image (3 but for arrays that have others), C_l of layer l, E label epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset


class Moments(NamedTuple):
    """Per-channel mean and (biased) variance, both ``[rows, C]``; a row is an image or a class."""

    mean: Tensor
    var: Tensor


LayerMoments = Mapping[str, Moments]


class Observation(NamedTuple):
    """What the frozen teacher sees in a batch: ``logits [B, K]``, ``features [B, D]``, per-image ``moments``."""

    logits: Tensor
    features: Tensor
    moments: LayerMoments


@dataclass(frozen=True)
class Preprocessing:
    """How pixels enter a network: side ``S`` and the per-channel mean and std of values in [0, 1].

    The default is ImageNet's, for any RGB images: so do weights expect it that others trained.
    """

    image_size: int
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    @property
    def channels(self) -> int:
        """C."""
        return len(self.mean)

    def blank(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        """An input ``[1, C, S, S]`` of zeros, to try a network on."""
        return torch.zeros(1, self.channels, self.image_size, self.image_size, dtype=dtype, device=device)

    def normalize(self, images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """``uint8 [B, C, S, S]`` in 0..255 to the network's input of ``dtype``."""
        values = images.to(dtype, copy=True)  # then in place: fresh memory costs more than the arithmetic
        return values.div_(255).sub_(self._column(self.mean, images, dtype)).div_(self._column(self.std, images, dtype))

    def denormalize(self, pixels: Tensor) -> Tensor:
        """A network input back to the nearest ``uint8 [B, C, S, S]``; values outside [0, 1] are clipped."""
        values = pixels * self._column(self.std, pixels, pixels.dtype) + self._column(self.mean, pixels, pixels.dtype)
        return (values * 255).round().clamp(0, 255).to(torch.uint8)

    def bounds(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The normalised values of black and white, each ``[C, 1, 1]``."""
        mean, std = self._column(self.mean, like, like.dtype), self._column(self.std, like, like.dtype)
        return -mean / std, (1 - mean) / std

    @staticmethod
    def _column(values: tuple[float, ...], like: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.tensor(values, dtype=dtype, device=like.device).view(-1, 1, 1)


@dataclass(frozen=True)
class ClassStatistics:
    """What one pass of the teacher over the real data leaves behind, for the classes listed in ``classes``.

    ``moments[layer]`` rows follow ``classes``; ``features [n, D]`` (float32) are sorted by class, those of the g-th
    listed class in rows ``offsets[g]:offsets[g + 1]``; ``index [n]`` says which training image each row is.
    """

    classes: tuple[int, ...]
    moments: LayerMoments
    features: Tensor
    offsets: Tensor
    index: Tensor

    @property
    def counts(self) -> Tensor:
        """Images of each listed class, ``[G]``."""
        return self.offsets.diff()

    def features_of(self, k: int) -> Tensor:
        """The real features ``[n_k, D]`` of class ``k``."""
        return self.features[self._rows(k)]

    def index_of(self, k: int) -> Tensor:
        """The training-set indices ``[n_k]`` of class ``k``, in the order of :meth:`features_of`."""
        return self.index[self._rows(k)]

    def _rows(self, k: int) -> slice:
        g = self.classes.index(k)
        return slice(int(self.offsets[g]), int(self.offsets[g + 1]))


class CostCurve(NamedTuple):
    """How the cost of a class falls with images per class: ``ipc [S]`` (int64, rising from 1), ``cost [K, S]``.

    ``cost`` (float64) is the W2 squared of the best quantization found with so many atoms of free weights; NaN where
    the class has fewer features. With one atom it is the variance of the class, the trace of its covariance.
    """

    ipc: Tensor
    cost: Tensor


@dataclass(frozen=True)
class Barycenters:
    """Per-class barycenters: ``atoms [K, m, D]``, ``weights [K, m]`` (rows on the simplex), ``cost [K]`` (W2 squared).

    ``iterations [K]`` and ``converged [K]`` say how the solver ended; ``history[k]`` is its cost after each iteration.
    ``curve`` says what other numbers of atoms would cost.
    """

    atoms: Tensor
    weights: Tensor
    cost: Tensor
    iterations: Tensor
    converged: Tensor
    history: tuple[tuple[float, ...], ...]
    curve: CostCurve
    method: str
    seed: int

    @property
    def share_left(self) -> Tensor:
        """``cost`` over the variance of each class, ``[K]``: what its atoms do not explain; NaN where both are 0."""
        return self.cost / self.curve.cost[:, 0]

    def __repr__(self) -> str:
        k, m, d = self.atoms.shape
        done = int(self.converged.sum())
        return (
            f"Barycenters({self.method}: {k} classes x {m} atoms in R^{d}, "
            f"mean W2^2 {float(self.cost.mean()):.4g}, converged {done}/{k})"
        )


@dataclass(frozen=True)
class SoftLabels:
    """Teacher logits of the augmented views of ``M`` images in ``E`` epochs, with the views that they belong to.

    ``logits float16 [E, M, K]`` are raw: the temperature is the student's choice. ``box int16 [E, M, 4]`` (left, top,
    width, height) and ``flip bool [E, M]`` give the view; ``partner int32 [E, M]`` and ``mix_box int16 [E, M, 4]`` its
    CutMix, absent where the protocol mixes nothing.
    """

    logits: Tensor
    box: Tensor
    flip: Tensor
    partner: Tensor | None = None
    mix_box: Tensor | None = None


@dataclass(frozen=True)
class DistilledDataset(Dataset[tuple[Tensor, int]]):
    """The distilled set: ``images uint8 [M, C, S, S]``, ``labels [M]``, ``weights [M]`` (those of a class sum to 1).

    As a torch ``Dataset`` it yields ``(normalised float32 [C, S, S], label)``, ready for a ``DataLoader``. A set read
    back from an export has the teacher's raw ``logits`` float32 ``[M, K]`` of the plain images.
    """

    images: Tensor
    labels: Tensor
    weights: Tensor
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    provenance: Mapping[str, Any] = field(default_factory=dict)
    logits: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.preprocessing.normalize(self.images[index]), int(self.labels[index])

    def __repr__(self) -> str:
        return (
            f"DistilledDataset({len(self)} images, {len(self.class_names)} classes, {self.preprocessing.image_size} px)"
        )
