"""How often a verdict is false, and how often a true difference gets one, by simulation.

``python -m benchmarks.power [N]`` prints a Markdown table of N (1000) simulations a row: a few
minutes. Each makes a table of errors such as CNN-6 has on 300W with four losses, with and without
PDB, and asks ``stages.claims`` for its verdicts. An error is the product of

- the cell's level;
- how hard photograph and face are;
- one more the sum of how cell and photograph, cell and face, cell and seed suit each other, and of
  what is left.

The standard deviations are those of docs/results/300w, and so are the faces.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.config.params import Params, load
from pipeline.config.paths import Cell
from pipeline.results import paper_spec
from pipeline.results.paper_spec import Claim, Claims, Family
from pipeline.results.run_results import Results, Scored
from stages import claims
from wingloss.geometry import Array

LOSSES, BALANCES = ("l2", "l1", "smooth_l1", "wing"), ("none", "pdb")
FACES, PHOTOGRAPHS = 203, 177  # the validation part's
MEAN = 6.06  # % with L1
HARD = 0.47  # of faces, in parts of the mean: its standard error is 0.2 points
# Face with cell, and what seeds add to it: differences of two cells, averaged over three seeds,
# have a standard deviation of 0.6 points over faces, and cells' means of 0.029 or more over seeds.
SUITS, REST = 0.052, 0.060
PAPERS = 0.36 / MEAN  # the paper's gain of Wing over L1: 6 %
ONE = Claim("Wing below L1", "", "aflw", lower=[["cnn6/none/wing", "cnn6/none/l1"]])
BEST = "Wing loss makes CNN-6 more accurate than L1 and smooth L1"
DECIDED = ("reproduced", "contradicted")


@dataclass(frozen=True)
class Scenario:
    """What a row of the table is of."""

    seed: float  # standard deviation over seeds of a difference of two cells on FACES, in points
    wing: float = 1.0  # how many times as far Wing loss's seeds lie apart
    seeds: int = 3
    faces: int = FACES
    pair: bool = False  # the seeds' variance is known from two runs alone, as in some studies

    def luck(self, loss: str) -> float:
        """What a cell's seeds do beyond what the faces' rest does, in parts of the mean."""
        points = self.seed / 2**0.5 * (self.wing if loss == "wing" else 1)
        rest = (1 + HARD**2) * REST**2 / FACES
        return max(0.0, (points / MEAN) ** 2 - rest) ** 0.5

    def __str__(self) -> str:
        wing = f", Wing's × {self.wing:g}" if self.wing != 1 else ""
        pair = ", two runs" if self.pair else ""
        return f"{self.seed:g}{wing}{pair} | {self.seeds} | {self.faces}"


SCENARIOS = (
    Scenario(0.041),  # CNN-6 in docs/results/300w, on a GPU
    Scenario(0.052),  # and on a processor
    Scenario(0.085),
    Scenario(0.12),
    Scenario(0.12, seeds=5),
    Scenario(0.041, wing=3),
    Scenario(0.041, wing=10),
    Scenario(0.041, pair=True),
    Scenario(0.085, pair=True),
    Scenario(0.12, pair=True),
    Scenario(0.041, faces=689),  # 300W's test part
    Scenario(0.041, faces=4386),  # AFLW's
)


def draw(
    rng: np.random.Generator, params: Params, scenario: Scenario, levels: Mapping[str, float]
) -> Results:
    """Errors of all cells; ``levels`` of losses differ from 1."""
    n_faces, n_photographs = scenario.faces, scenario.faces * PHOTOGRAPHS // FACES
    photographs = np.arange(n_faces) % n_photographs

    def both(deviation: float) -> Array:
        """Half of the variance is the photograph's, half the face's."""
        part = deviation / 2**0.5
        return rng.normal(0, part, n_photographs)[photographs] + rng.normal(0, part, n_faces)

    spread = np.log1p(HARD**2)
    hard = np.exp(both(spread**0.5) - spread / 2)
    cells = {}
    for balance in BALANCES:
        for loss in LOSSES:
            suits = both(SUITS) + rng.normal(0, scenario.luck(loss), (scenario.seeds, 1))
            suits = suits + rng.normal(0, REST, (scenario.seeds, n_faces))
            cells[Cell("cnn6", balance, loss)] = Scored(
                seeds=list(range(scenario.seeds)),
                about=[{"status": "trained", "data_stamp": "partial"}] * scenario.seeds,
                split="val",
                normaliser="inter_pupil",
                photographs=photographs.astype(str),
                subsets=[set()] * n_faces,
                lengths={},
                errors=MEAN * levels.get(loss, 1.0) * hard * (1 + suits),
            )
    return Results("300w", "fast", params, cells)


class _Alone(Family):
    """A family of one claim, whose chance is told by all cells of the losses' family."""

    @property
    def cells(self) -> set[Cell]:
        return paper_spec.families().families[0].cells


_ALONE = _Alone("alone", [ONE])


def simulate(scenario: Scenario, number: int, seed: int = 0) -> dict[str, float]:
    """The shares of ``number`` simulations, by name."""
    params, every = load(), paper_spec.families()
    losses = Family("pair", [ONE]) if scenario.pair else every.families[0]
    single = losses if scenario.pair else _ALONE
    best = ONE.claim if scenario.pair else BEST
    plain = {claim.claim for claim in losses.claims if claim.plain}
    rng = np.random.default_rng(seed)

    def judged(family: Family, results: Results) -> dict[str, dict[str, Any]]:
        found = claims.judge(Claims(every.equivalent_within, [family]), results, {})
        return {one["text"]: one for one in found}

    counts: dict[str, list[bool]] = {}
    for _ in range(number):
        alike = draw(rng, params, scenario, {})
        alone, family = judged(single, alike)[ONE.claim], judged(losses, alike)
        (pair,) = alone["comparisons"]
        better = judged(losses, draw(rng, params, scenario, {"wing": 1 - PAPERS}))
        apart = judged(single, draw(rng, params, scenario, {"wing": 1 - every.equivalent_within}))
        for name, value in {
            "false verdict, one claim": alone["verdict"] in DECIDED,
            "any false verdict, family": any(family[one]["verdict"] in DECIDED for one in plain),
            "interval holds the truth": pair["low"] <= 0 <= pair["high"],
            "power, 0.36 points": better[best]["verdict"] == "reproduced",
            "equivalent, no difference": alone["verdict"] == "equivalent",
            "equivalent, 1 % apart": apart[ONE.claim]["verdict"] == "equivalent",
        }.items():
            counts.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in counts.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.power")
    parser.add_argument("number", nargs="?", type=int, default=1000, help="simulations a row")
    number = parser.parse_args().number
    for i, scenario in enumerate(SCENARIOS):
        found = simulate(scenario, number)
        if i == 0:
            print("| seeds' deviation, points | seeds | faces | " + " | ".join(found) + " |")
            print("|---" * (len(found) + 3) + "|")
        print(f"| {scenario} | " + " | ".join(f"{100 * v:.1f} %" for v in found.values()) + " |")


if __name__ == "__main__":
    main()
