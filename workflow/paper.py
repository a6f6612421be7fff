"""Have `params.yaml` ask for every run of the paper's tables and claims: `make paper`.

It sets `seeds`, `runs` and `trees` there and nothing else, because that file is the only switch of
both engines; `git checkout params.yaml` sets them back.
"""

import re
import sys

import yaml

from pipeline.config import paths
from pipeline.config.networks import STAGES
from pipeline.config.params import PARAMS, Params, load
from pipeline.results import paper_spec
from pipeline.runtime.errors import UserError
from pipeline.trainings import cost

SEEDS = [0, 1, 2]  # as many as a verdict on a claim needs
TREES = "published"  # no verdict is on weaker ones


def asked(params: Params) -> dict[str, dict[str, list[str]]]:
    """The balances and losses under each key of `runs`, for all tables and testable claims."""
    optimiser = params.recipes[params.recipe].cnn6.optimiser
    every = [cell for table in paper_spec.tables().values() for cell in table.cells]
    every += [
        cell for claim in paper_spec.claims() if claim.testable(optimiser) for cell in claim.cells
    ]
    own = {
        key: [cell for cell in every if params.key(cell.network, cell.loss) == key]
        for key in params.grids
    }
    return {
        key: {
            "balance": list(dict.fromkeys(cell.balance for cell in cells)),
            "loss": list(dict.fromkeys(cell.loss for cell in cells)),
        }
        for key, cells in own.items()
    }


def main() -> None:
    before, text = load(), PARAMS.read_text(encoding="utf-8")
    for key, value in {"seeds": SEEDS, "runs": asked(before), "trees": TREES}.items():
        # a key's own line, and those below it that are indented
        flow = False if isinstance(value, str) else None  # None: lists alone are in brackets
        new = yaml.safe_dump({key: value}, default_flow_style=flow, sort_keys=False, width=96)
        text = re.sub(rf"^{key}:.*\n(?:[ \t]+.*\n)*", new, text, flags=re.M)
    PARAMS.write_text(text, encoding="utf-8")
    params = load()
    for dataset in params.datasets:
        every = paths.runs(params, dataset)
        # a CNN-6/7's first stage is the training of a CNN-6 run that is asked for too
        seconds = sum(
            cost.training_seconds(params, dataset, STAGES[run.network][-1]) for run in every
        )
        print(
            f"{PARAMS} now asks for {len(every)} runs of {dataset}: about {seconds / 3600:.1f} "
            "hours of one core, estimated from rates measured elsewhere."
        )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
