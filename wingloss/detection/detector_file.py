"""Detectors' files: safetensors with all stages' weights and the card. Reading one runs no code."""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from wingloss.detection.card import Card, from_text
from wingloss.models import model_file

HEADER = "detector"


def save(path: Path, card: Card, networks: Sequence[nn.Module]) -> None:
    """Writes a detector; equal ones are equal files."""
    held: dict[str, Tensor] = {}
    for stage, network in enumerate(networks, start=1):
        held |= model_file.tensors(network, _prefix(stage))
    model_file.write(path, held, {HEADER: card.to_text()})


def load(path: Path) -> tuple[Card, list[nn.Module]]:
    """The card, and the networks stage by stage.

    Raises:
        model_file.BadModel: the file is corrupt, or holds no detector; one line.
    """
    with model_file.reading(path, "detector") as file:
        header = file.metadata() or {}
        if "model" in header:
            raise ValueError("a single network; snakemake makes detectors of them")
        if HEADER not in header:
            raise ValueError("its header says nothing of it")
        card = from_text(header[HEADER])
        prefixes = [_prefix(stage) for stage, _ in enumerate(card.networks, start=1)]
        for key in file.keys():  # noqa: SIM118
            if not key.startswith(tuple(prefixes)):
                raise ValueError(f"{key} is none of its tensors")
        return card, [
            model_file.network(file, name, card.landmarks, prefix)
            for name, prefix in zip(card.networks, prefixes, strict=True)
        ]


def networks(path: Path) -> dict[str, nn.Module]:
    """The networks in a detector's file, or the one in a run's model file, by their names.

    Raises:
        model_file.BadModel: the file is corrupt, or holds neither; one line.
    """
    with model_file.reading(path) as file:
        is_detector = HEADER in (file.metadata() or {})
    if is_detector:
        card, held = load(path)
        return dict(zip(card.networks, held, strict=True))
    name, network = model_file.load(path)
    return {name: network}


def _prefix(stage: int) -> str:
    return f"stage{stage}."
