"""The runs of a data set at a glance: what was run, how far each got, which is best."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter

from pipeline.config import networks, paths
from pipeline.config.paths import Cell
from pipeline.results import paper_spec
from pipeline.results.effects import Effects
from pipeline.results.run_results import Results, Scored, by_name
from wingloss.evaluation.significance import Effect
from wingloss.protocol import ALL


def facts(recipes: list[Results]) -> dict[str, str]:
    """What was run by all recipes, by the name of each fact."""
    results = recipes[0]
    cells = {cell: one for each in recipes for cell, one in each.cells.items()}
    own = [cell for cell in cells if cell.network in paths.STAGES]
    others = [_other(results, cell, one) for cell, one in cells.items() if cell not in own]
    runs = by_name(recipes)
    every = [about for one in runs.values() for about in one.about]
    learnt = [
        about
        for each in recipes
        for cell in own
        if cell in each.cells
        for about in each.cells[cell].about
    ]
    minutes = sum(about["train_seconds"] for about in every) / 60
    precisions = _each(about["precision"] for about in learnt)
    began = _each(
        f"ResNet-50 began with {each.weights}"
        for each in recipes
        if any(cell.network == "resnet50" for cell in each.cells)
    )
    said = {
        "faces": results.faces,
        "networks": _each(networks.TITLES[cell.network] for cell in own),
        "weights": began,
        "losses": _losses(own),
        "balancing": _each(paper_spec.BALANCE_TITLES[cell.balance] or "none" for cell in own),
        "compared to": "; ".join(others),
        "seeds": ", ".join(str(seed) for seed in results.any.seeds),
        "recipe": "; ".join(filter(None, map(_recipe, recipes))),
        "runs": f"{len(every)}, trained in {minutes:.1f} minutes",
        "hardware": ", ".join(filter(None, [_each(a["hardware"] for a in every), precisions])),
        "commit": _each(about["commit"] for about in every),
    }
    return {name: value for name, value in said.items() if value}


def _each(names: Iterable[str]) -> str:
    """Each name once, in the order in which it comes first."""
    return ", ".join(dict.fromkeys(names))


def _losses(own: list[Cell]) -> str:
    """The losses of Section 4, and how many settings of Wing there are besides."""
    others = {cell.loss for cell in own} - set(paper_spec.LOSS_TITLES)
    said = _each(paper_spec.LOSS_TITLES[cell.loss] for cell in own if cell.loss not in others)
    more = f"{len(others)} more by name" if others else ""
    return ", ".join(filter(None, [said, more]))


def _other(results: Results, cell: Cell, one: Scored) -> str:
    """What the networks are compared to, with how it falls short of its paper's."""
    said = results.named(cell)
    return f"{said} ({one.reduced})" if one.reduced else said


def _recipe(results: Results) -> str:
    """The recipe, and each network's budget beside the paper's."""
    params, budgets = results.params, []
    own = [cell for cell in results.cells if cell.network in paths.STAGES]
    for network in dict.fromkeys(part for cell in own for part in paths.STAGES[cell.network]):
        samples = params.recipes[results.recipe].of(network).samples[results.dataset]
        share = f" ({100 * samples / paper_spec.SAMPLES:.2g} %)"
        own_paper = "" if network in networks.HEAT_MAPS else share  # the follow-up has another
        budgets.append(f"{networks.TITLES[network]} {samples:,}{own_paper}")
    if not budgets:
        return ""
    paper = f"samples a training, of the paper's {paper_spec.SAMPLES:,}"
    return f"{results.recipe}: {', '.join(budgets)} {paper}"


def ranked(results: Results) -> dict[Cell, Scored]:
    """The runs by their mean error, the lowest first, those of which a seed diverged at the end."""
    return dict(
        sorted(
            results.cells.items(),
            key=lambda item: float("inf") if item[1].diverged else item[1].errors.mean(),
        )
    )


@dataclass(frozen=True)
class Best:
    """The run with the lowest mean error, and how far the next one lies above it."""

    cell: Cell
    error: float
    next: Cell | None
    behind: Effect | None  # positive: the next run's error is higher


def best(results: Results) -> Best | None:
    """The best run; None where every one diverged."""
    whole = [(cell, one.errors) for cell, one in ranked(results).items() if not one.diverged]
    if not whole:
        return None
    (cell, errors), *others = whole
    photographs = len(set(results.any.photographs))
    if not others or photographs < 2:  # one tells nothing of others
        return Best(cell, float(errors.mean()), None, None)
    following = others[0][0]
    everywhere = results.any.inside(ALL)
    every = Effects(results.cells, attrgetter("network"), everywhere, lambda errors: errors)
    return Best(cell, float(errors.mean()), following, every.between(following, cell))
