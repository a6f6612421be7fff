"""A stage's arguments, checked against params.yaml before anything is read or made."""

from collections.abc import Collection
from typing import Any

from pipeline.config import paths
from pipeline.config.params import METHODS, PARAMS, Params, load
from pipeline.errors import UserError
from wingloss import protocol
from wingloss.validation import meant


def check(given: dict[str, Any]) -> None:
    """Refuses arguments that name nothing, by the names that they have in all stages.

    Raises:
        UserError: names the argument, what it may have meant, and what there is.
    """
    among(given, "dataset", protocol.available())
    among(given, "network", paths.STAGES)
    among(given, "balance", paths.BALANCES)
    among(given, "method", METHODS)
    if given.get("seed", 0) < 0:
        raise UserError(f"--seed {given['seed']}: it is a whole number of at least 0")
    stages = paths.STAGES.get(given.get("network", ""), (1, 2))
    among(given, "stage", range(1, len(stages) + 1))
    if "dataset" in given:
        _check_parameters(given, load())


def among(given: dict[str, Any], name: str, known: Collection[Any]) -> None:
    """Refuses the argument ``name``, if it is given, where it is none of ``known``."""
    if name in given and given[name] not in known:
        there = ", ".join(str(one) for one in known)
        raise UserError(
            f"--{name} {given[name]}: there is none of this name; "
            f"{meant(given[name], known)}there are {there}"
        )


def _check_parameters(given: dict[str, Any], params: Params) -> None:
    """What params.yaml must say of the data set, and of a run's recipe and loss."""
    dataset = given["dataset"]
    for key in ("dataset", "raw"):
        if dataset not in getattr(params, key):
            raise UserError(f"{PARAMS}: {key}.{dataset}: this key is missing")
    among(given, "recipe", params.recipes)
    among(given, "loss", params.loss)
    if "network" not in given:
        return
    *_, last = parts = paths.STAGES[given["network"]]
    for part in parts:
        recipe = params.recipes[given["recipe"]].own.get(part)
        if recipe is None or dataset not in recipe.samples:
            key = f"recipes.{given['recipe']}.{part}.samples.{dataset}"
            raise UserError(f"{PARAMS}: {key}: this key is missing")
    loss = params.loss[given["loss"]]
    if not loss.fits(last):
        raise UserError(f"{PARAMS}: loss.{given['loss']}.{last}: this key is missing")
