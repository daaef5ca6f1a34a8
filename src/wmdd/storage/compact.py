"""Soft labels in less space: a few largest logits of each as they are, the others by transform coding.

A student of temperature ``T`` sees ``softmax(t / T)``. Where the kept logits differ from the exact ones by ``d``, the
KL divergence between the two targets is ``Var_p(d) / (2 T^2)`` to second order, ``p`` being the targets. At the
temperatures of distillation ``p`` is nearly uniform over the ``K`` classes (Hinton, Vinyals and Dean, arXiv 1503.02531,
section 2.1: it then matches centred logits), so the error of every logit counts alike and most of what a label
says is in the many small ones. Keeping only the largest loses that; the principal directions (:mod:`.transform`) leave
the least squared error for their size. At low temperatures the largest logits count most, and what sets one class
apart may lie in no direction that many labels share: so those few are kept apart, in half precision.

The bits are as many as leave :data:`RELATIVE_ERROR` of the squared size of the centred logits. At high temperatures
that is the KL divergence of the kept targets over that of uniform ones, both from the exact targets.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from wmdd.core.errors import DataError
from wmdd.storage.transform import CodeBook, encode

RELATIVE_ERROR = 0.02
"""Squared error that the compact form may leave, relative to the squared size of the centred logits."""

_MOST_EXACT = 4
_CLASSES_PER_EXACT = 50  # with few classes the principal directions span them all

SHARED = ("mean", "basis", "step", "bits")
"""The tensors that all labels of a file share: its code book."""


def compress(logits: Tensor) -> dict[str, Tensor]:
    """``logits [E, M, K]`` of any float type as the tensors of a file; :func:`decompress` gives them back.

    ``codes uint8 [E, M, B]``, and ``top_index int16 [E, M, k]`` (int32 beyond 32767 classes) with ``top_value
    float16 [E, M, k]``, the largest logits over the mean of the others clipped to the next one; and the
    :data:`SHARED` ones of :class:`~wmdd.storage.transform.CodeBook`. The code book is fitted to these very logits.

    Raises:
        DataError: a logit is infinite or not a number.
    """
    if not logits.isfinite().all():
        raise DataError("the teacher's logits are not all finite, so no student can learn from them: train it again.")
    classes = logits.shape[-1]
    exact = min(_MOST_EXACT, classes // _CLASSES_PER_EXACT)
    top, index = logits.topk(exact + 1, dim=-1)
    tail = torch.minimum(logits, top[..., -1:])
    level = torch.stack([block.float().mean(-1, keepdim=True) for block in tail])
    size = sum(float((block.float() - block.float().mean(-1, keepdim=True)).square().sum()) for block in logits)
    error = RELATIVE_ERROR * size / (logits.shape[0] * logits.shape[1])
    book, codes = encode(tail - level, error)
    limit = torch.finfo(torch.float16).max
    return {
        "codes": codes,
        "top_index": index[..., :exact].to(torch.int16 if classes <= torch.iinfo(torch.int16).max else torch.int32),
        "top_value": (top[..., :exact].float() - level).clamp(-limit, limit).half(),
        **{name: getattr(book, name) for name in SHARED},
    }


def decompress(tensors: Mapping[str, Tensor]) -> Tensor:
    """Logits ``float32 [E, M, K]`` of what :func:`compress` made, or of some of its epochs.

    They are raw, for any temperature, up to a constant in each label, which no softmax sees.
    """
    book = CodeBook(*(tensors[name] for name in SHARED))
    codes = tensors["codes"]
    logits = book.decode(codes.flatten(0, 1)).unflatten(0, codes.shape[:2])
    return torch.scatter(logits, -1, tensors["top_index"].long(), tensors["top_value"].float())
