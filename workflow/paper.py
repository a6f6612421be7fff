"""Have `params.yaml` ask for every run of the paper's tables and claims: `make paper`.

It sets `seeds` and `runs` there and nothing else, because that file is the only switch of both
engines; `git checkout params.yaml` sets them back. A network's runs are every balance with every
loss, so there are some that no table has.
"""

import re

import yaml

from stages import paper
from stages.layout import STAGES
from stages.params import PARAMS, load

SEEDS = [0, 1, 2]  # as many as a verdict on a claim needs


def asked() -> dict[str, dict[str, list[str]]]:
    """The balances and losses of each network that the tables and claims have."""
    every = [cell for table in paper.tables().values() for cell in table.cells]
    every += [cell for claim in paper.claims() for cell in claim.cells]
    return {
        network: {
            key: list(
                dict.fromkeys(getattr(cell, key) for cell in every if cell.network == network)
            )
            for key in ("balance", "loss")
        }
        for network in STAGES
    }


def main() -> None:
    text = PARAMS.read_text(encoding="utf-8")
    for key, value in {"seeds": SEEDS, "runs": asked()}.items():
        # a key's own line, and those below it that are indented
        new = yaml.safe_dump({key: value}, default_flow_style=None, sort_keys=False, width=96)
        text = re.sub(rf"^{key}:.*\n(?:[ \t]+.*\n)*", new, text, flags=re.M)
    PARAMS.write_text(text, encoding="utf-8")
    params = load()
    runs = sum(len(grid.balance) * len(grid.loss) for grid in params.grids.values()) * len(SEEDS)
    print(f"{PARAMS} now asks for {runs} runs of each data set.")


if __name__ == "__main__":
    main()
