"""Where the processes of one start meet, apart from those of earlier starts.

torchrun keeps its store when it starts all processes again, and with it the addresses of those that are gone
(pytorch/pytorch issue 135712): whoever looks a moment before the others have written theirs waits for the dead.
Its count of restarts does not tell one start from the next either, for each machine counts its own.
"""

import time
from uuid import uuid4

from torch.distributed.distributed_c10d import PrefixStore, Store

_SECONDS_BETWEEN_LOOKS = 0.01


def fresh_part(store: Store, rank: int, size: int) -> Store:
    """The part of ``store`` that only this start's ``size`` processes know; all of them have to ask together.

    Each leaves a name that nobody had before. The first process answers whatever names it finds, those of the dead
    too, until all have thanked it by its own new name, which is the name of the part.
    """
    name = uuid4().hex
    if rank == 0:
        part, others = name, range(1, size)
        while not store.check([f"{part}/thanks/{other}" for other in others]):
            for other in others:
                if store.check([f"name/{other}"]):
                    store.set(f"answer/{store.get(f'name/{other}').decode()}", part)
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    else:
        store.set(f"name/{rank}", name)
        while not store.check([f"answer/{name}"]):  # in Python, where signals are heeded
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        part = store.get(f"answer/{name}").decode()
        store.set(f"{part}/thanks/{rank}", "")
    return PrefixStore(part, store)
