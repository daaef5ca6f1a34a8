"""What a student minimises."""

from torch import Tensor
from torch.nn import functional as F


def soft_label_loss(student: Tensor, teacher: Tensor, temperature: float, weights: Tensor) -> Tensor:
    """``(1/B) sum_i w_i KL(softmax(t_i / T) || softmax(s_i / T))`` for logits ``[B, K]`` and weights ``[B]`` of mean 1.

    As in FKD and SRe2L (arXiv 2112.01528, 2306.13092) there is no factor ``T^2``.
    """
    target = F.log_softmax(teacher / temperature, dim=1)
    own = F.log_softmax(student / temperature, dim=1)
    divergence = F.kl_div(own, target, reduction="none", log_target=True).sum(dim=1)
    return (weights * divergence).mean()


def hard_label_loss(student: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """``(1/B) sum_i w_i CE(s_i, y_i)`` for logits ``[B, K]``, labels ``[B]`` and weights ``[B]`` of mean 1."""
    return (weights * F.cross_entropy(student, labels, reduction="none")).mean()
