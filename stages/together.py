"""Many trainings in one process, side by side on one GPU, before either engine asks for them."""

from contextlib import ExitStack

import torch

from stages import command, layout, store
from stages.command import log
from stages.errors import UserError
from stages.job import Job
from stages.machine import describe_commit, keep_freed_memory
from stages.params import load
from stages.train import attend, finish, resume, together_inputs
from wingloss import protocol, training
from wingloss.ensemble import Common, Ensemble, Member, train


def run(dataset: str) -> None:
    """Trains what DATASET's runs begin with, CNN-6 on the face boxes, into the run store.

    Trainings of one kind of loss are one vectorised model, whatever their balances, seeds and Wing
    parameters. `snakemake` and `dvc repro` then find them there. Needs the data prepared.
    """
    torch.set_num_threads(command.threads())
    params = load()
    if dataset not in params.datasets:
        raise UserError(f"'{dataset}' is not among the datasets in params.yaml")
    jobs: dict[str, Job] = {}  # those that nobody has made alone, by the key they have together
    entries: dict[str, store.Entry] = {}
    for cell in layout.runs(params, dataset):
        job = Job.of(params, cell, stage=1)
        if job.network != "cnn6":  # a large network keeps a GPU busy by itself
            continue
        inputs = job.inputs()
        entry = store.Entry(layout.RUN_STORE, together_inputs(inputs))
        if not store.Entry(layout.RUN_STORE, inputs).result.exists():
            jobs[entry.key], entries[entry.key] = job, entry
    for kind in sorted({job.objective.loss for job in jobs.values()}):
        alike = sorted(key for key, job in jobs.items() if job.objective.loss == kind)
        with ExitStack() as stack:  # by key, so that two such processes can't wait for each other
            for key in alike:
                stack.enter_context(entries[key].locked())
            missing = [key for key in alike if not entries[key].result.exists()]
            log.info("%s: %d of %d trainings are to be made", kind, len(missing), len(alike))
            if missing:
                _train([jobs[key] for key in missing], [entries[key] for key in missing])


def _train(jobs: list[Job], entries: list[store.Entry]) -> None:
    """Trains all jobs at once. Their checkpoint is one, in an entry that the store has for them."""
    keep_freed_memory()
    commit = describe_commit()
    one = jobs[0]  # the faces, the network and the recipe are the same for all
    rules = protocol.load(one.dataset)
    fitting, _ = one.faces("train")
    validating, lengths = one.faces("val")
    device = training.device()
    repeats = [job.repetitions() for job in jobs]
    begun = [job.untrained(rules.n_landmarks).to(device) for job in jobs]
    for network, own in zip(begun, repeats, strict=True):
        training.start(network, one.network, fitting, own, one.recipe)
    ensemble = Ensemble(begun, one.recipe.precision, one.recipe)
    members = [
        Member(job.objective.wing, job.objective.seed, own)
        for job, own in zip(jobs, repeats, strict=True)
    ]
    common = Common(
        one.network, one.objective.loss, one.objective.augmentation, one.recipe, one.steps
    )
    validate = training.validation(one.network, validating, lengths, one.recipe.precision, device)
    keys = {"members": [entry.key for entry in entries]}
    with store.Entry(layout.RUN_STORE, keys).locked() as shared:
        before = resume(ensemble, shared, one)
        steps = train(ensemble, members, common, fitting, validate, rules.flip_permutation, device)
        title = f"{len(jobs)} × {one.network}, {one.objective.loss}"
        seconds = attend(steps, ensemble, shared, one, before, title)
        for index, (job, entry) in enumerate(zip(jobs, entries, strict=True)):
            about = {
                "train_seconds": round(seconds / len(jobs), 1),
                "trained_together": len(jobs),
                "commit": commit,
                "inputs": entry.inputs,
            }
            finish(entry, job, ensemble.member(index), about)
        shared.discard()


if __name__ == "__main__":
    command.main(run)
