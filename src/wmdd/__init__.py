"""wmdd: dataset distillation by Wasserstein barycenters (arXiv 2311.18531).

>>> import wmdd
>>> distilled = wmdd.distill("digits", out="runs/digits", ipc=10)   # doctest: +SKIP
>>> loader = torch.utils.data.DataLoader(distilled, batch_size=20)  # doctest: +SKIP
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if os.name != "posix":
    raise ImportError("wmdd runs on Linux and macOS: on Windows use it in WSL.")

if TYPE_CHECKING:
    from wmdd.api import compare, distill, evaluate, export, load, pull, push
    from wmdd.core.errors import WmddError
    from wmdd.core.types import Barycenters, ClassStatistics, DistilledDataset, Preprocessing, SoftLabels
    from wmdd.data.own import OwnData
    from wmdd.models.own import OwnNetwork
    from wmdd.models.teacher import Teacher

_HOMES = {
    "compare": "wmdd.api",
    "distill": "wmdd.api",
    "evaluate": "wmdd.api",
    "export": "wmdd.api",
    "load": "wmdd.api",
    "pull": "wmdd.api",
    "push": "wmdd.api",
    "WmddError": "wmdd.core.errors",
    "Barycenters": "wmdd.core.types",
    "ClassStatistics": "wmdd.core.types",
    "DistilledDataset": "wmdd.core.types",
    "OwnData": "wmdd.data.own",
    "OwnNetwork": "wmdd.models.own",
    "Preprocessing": "wmdd.core.types",
    "SoftLabels": "wmdd.core.types",
    "Teacher": "wmdd.models.teacher",
}

__all__ = [
    "Barycenters",
    "ClassStatistics",
    "DistilledDataset",
    "OwnData",
    "OwnNetwork",
    "Preprocessing",
    "SoftLabels",
    "Teacher",
    "WmddError",
    "compare",
    "distill",
    "evaluate",
    "export",
    "load",
    "pull",
    "push",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # torch takes seconds to import; `import wmdd` and `wmdd --help` must not pay for it.
    if name not in _HOMES:
        raise AttributeError(f"module 'wmdd' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
