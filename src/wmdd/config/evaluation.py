"""Which students are trained on the distilled set, under which protocols."""

from dataclasses import dataclass, replace
from typing import Literal

from wmdd.config.protocols import PROTOCOLS, Protocol
from wmdd.config.settings import Count, Natural, setting

SHARING = 3  # epochs that share views and labels where these are compact


@dataclass(frozen=True)
class EvaluationConfig:
    """Settings of relabelling and evaluation."""

    protocols: tuple[str, ...] = setting(("wmdd",), f"of {', '.join(PROTOCOLS)}", flag="protocols")
    students: tuple[str, ...] = setting(("auto",), "networks to train; auto: the teacher's", flag="students")
    seeds: tuple[Natural, ...] = setting((0, 1, 2), "one student and one random-real draw for each", flag="seeds")
    random_real: bool = setting(True, "score as many random real images beside the distilled ones")
    epochs: Count | None = setting(None, "another number of epochs than the protocol's; the score's name then says so")
    labels: Literal["stored", "compact", "online"] = setting(
        "stored",
        "soft labels: of every view (stored); of a third of the epochs, used in turn, in four bits a class (compact); "
        "or none, and the teacher is asked at every step (online)",
    )

    def label_epochs(self, epochs: int) -> int:
        """How many of a student's ``epochs`` have views and labels of their own; the others use those in turn."""
        return -(-epochs // SHARING) if self.labels == "compact" else epochs

    def chosen_protocols(self, images: int) -> list[Protocol]:
        """The named protocols for a set of ``images``; another number of epochs than theirs is part of the name."""
        chosen = [PROTOCOLS[name].for_images(images) for name in self.protocols]
        return chosen if self.epochs is None else [_with_epochs(protocol, self.epochs) for protocol in chosen]

    def __post_init__(self) -> None:
        for name in self.protocols:
            if name not in PROTOCOLS:
                raise ValueError(f"evaluation.protocols has {name!r}, which is no protocol: use {', '.join(PROTOCOLS)}")
        for what in ("protocols", "students", "seeds"):
            values = getattr(self, what)
            if not values or len(set(values)) != len(values):
                raise ValueError(f"evaluation.{what} is {list(values)}, but needs at least one entry and none twice")


def _with_epochs(protocol: Protocol, epochs: int) -> Protocol:
    if epochs == protocol.epochs:
        return protocol
    return replace(protocol, name=f"{protocol.name}-{epochs}-epochs", epochs=epochs)
