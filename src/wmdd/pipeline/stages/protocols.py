"""The protocols of a run, with the number of epochs that its settings ask for."""

from dataclasses import replace

from wmdd.config import PROTOCOLS, EvaluationConfig, Protocol


def protocols(config: EvaluationConfig) -> list[Protocol]:
    """The named protocols; another number of epochs than the named one is part of the name, and so of every score."""
    chosen = [PROTOCOLS[name] for name in config.protocols]
    if config.epochs is None:
        return chosen
    return [_with_epochs(protocol, config.epochs) for protocol in chosen]


def _with_epochs(protocol: Protocol, epochs: int) -> Protocol:
    if epochs == protocol.epochs:
        return protocol
    return replace(protocol, name=f"{protocol.name}-{epochs}-epochs", epochs=epochs)
