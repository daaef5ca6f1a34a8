"""Memory that is used again: touching fresh pages costs more than most arithmetic on what they hold."""

import math

import torch
from torch import Tensor


class Rooms:
    """Room for large intermediate results, one by name: what is taken next under a name overwrites the last."""

    def __init__(self) -> None:
        self._rooms: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """An uninitialised tensor of ``shape``, in the dtype and on the device of ``like``."""
        numbers, room = math.prod(shape), self._rooms.get(name)
        if room is None or len(room) < numbers or room.dtype != like.dtype or room.device != like.device:
            room = self._rooms[name] = torch.empty(numbers, dtype=like.dtype, device=like.device)
        return room[:numbers].view(shape)
