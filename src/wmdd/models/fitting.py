"""Whether a network can take images of a size, found out by showing it one."""

import torch
from torch import nn


@torch.no_grad()
def refusal(network: nn.Module, image_size: int, channels: int) -> str:
    """Why ``network`` cannot take an image ``[channels, S, S]``, or nothing; it is left in training mode."""
    try:
        network.eval()(torch.zeros(1, channels, image_size, image_size))
    except Exception as error:  # every network fails in a way of its own
        return first_sentence(error)
    finally:
        network.train()
    return ""


def first_sentence(error: Exception) -> str:
    """The first line of an error's text, without its full stop, to be put into a sentence of ours."""
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
