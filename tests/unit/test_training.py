"""Training: its schedule, and that an interrupted one goes on bit by bit."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_training import (
    LANDMARKS,
    OBJECTIVE,
    RECIPE,
    REPEATS,
    SGD,
    beginning,
    course,
    run,
    weights,
)
from torch import nn

from wingloss.augmentation.perturbation import Augmentation, Faces
from wingloss.augmentation.samples import Samples
from wingloss.recipe import Recipe
from wingloss.training import loop, on_processor
from wingloss.training.loop import (
    learning_rate,
)

# the schedule


@pytest.mark.parametrize("decay", ["log_linear", "linear", "cosine"])
def test_the_rate_falls_from_the_first_to_the_last(decay: str):
    recipe = replace(RECIPE, decay=decay)
    rates = [learning_rate(recipe, "wing", step, 101) for step in range(101)]
    assert (rates[0], rates[-1]) == (pytest.approx(1e-3), pytest.approx(1e-5))
    middle = (1e-3 + 1e-5) / 2
    assert rates[50] == pytest.approx(1e-4 if decay == "log_linear" else middle)
    quarter = {"log_linear": 10**-3.5, "linear": 7.525e-4, "cosine": 8.55e-4}[decay]
    assert rates[25] == pytest.approx(quarter, rel=1e-3)
    assert (np.diff(rates) < 0).all()


def test_a_log_linear_rate_falls_by_equal_factors():
    recipe = replace(RECIPE, decay="log_linear")
    rates = np.array([learning_rate(recipe, "wing", step, 20) for step in range(20)])
    np.testing.assert_allclose(rates[1:] / rates[:-1], 0.01 ** (1 / 19))


def test_warmup_is_linear_and_then_over():
    warm = replace(RECIPE, warmup=0.1)
    ratios = [
        learning_rate(warm, "wing", step, 100) / learning_rate(RECIPE, "wing", step, 100)
        for step in range(100)
    ]
    assert ratios[:10] == pytest.approx([0.1 * k for k in range(1, 11)])
    assert ratios[10:] == [1] * 90


def test_a_losss_own_factor_is_its_alone():
    assert learning_rate(RECIPE, "l2", 7, 50) == pytest.approx(
        learning_rate(RECIPE, "l1", 7, 50) / 10
    )


def test_a_single_step_has_the_first_rate():
    assert learning_rate(RECIPE, "wing", 0, 1) == pytest.approx(1e-3)


@pytest.mark.parametrize(("samples", "steps"), [(60, 15), (63, 15), (3, 1)])
def test_the_budget_is_in_samples(samples: int, steps: int):
    assert loop.total_steps(replace(RECIPE, samples={"tiny": samples}), "tiny") == steps


# the steps


def test_the_optimisers_are_the_recipes(faces: Faces):
    sgd, adamw = beginning(faces, SGD).optimiser, beginning(faces).optimiser
    assert isinstance(sgd, torch.optim.SGD) and isinstance(adamw, torch.optim.AdamW)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.9, 5e-4)
    assert adamw.defaults["betas"] == (0.9, 0.999) and adamw.defaults["weight_decay"] == 0.05


@pytest.mark.parametrize("recipe", [RECIPE, SGD])
def test_weights_decay_and_biases_do_not(faces: Faces, recipe: Recipe):
    state = beginning(faces, replace(recipe, weight_decay=0.5, learning_rate=0.1, momentum=0.0))
    for parameter in state.model.network(0).parameters():
        parameter.data.fill_(1.0)
    for stepped in [*state.model.weights, *state.model.biases]:
        stepped.grad = torch.zeros_like(stepped)
    state.optimiser.step()
    for parameter in state.model.network(0).parameters():
        expected = 1.0 if parameter.ndim == 1 else 0.95
        assert torch.allclose(parameter, torch.tensor(expected))


def test_the_optimiser_steps_contiguous_memory(faces: Faces):
    """Kernels lie channels last; a fused optimiser would copy them there and back."""
    state = beginning(faces, RECIPE)
    parameters = list(state.model.network(0).parameters())
    assert not all(parameter.is_contiguous() for parameter in parameters)
    (state.model.forward(torch.rand(1, 2, 64, 64, 3))).square().sum().backward()
    stepped = {p.data_ptr(): p for p in (*state.model.weights, *state.model.biases)}
    for parameter in parameters:
        own = stepped[parameter.data_ptr()]
        assert own.is_contiguous() and own.grad is not None and own.grad.is_contiguous()
        assert parameter.grad is None  # it isn't added to the next step's


@pytest.mark.parametrize("guess", ["zero", "mean_shape"])
def test_the_first_guess_is_in_the_last_bias(faces: Faces, guess: str):
    state = beginning(faces, replace(RECIPE, first_guess=guess))
    mean = (faces.points.mean(axis=0) + 0.5) * 2 - 0.5  # input pixels are half as large
    expected = mean.T.ravel() if guess == "mean_shape" else np.zeros(2 * LANDMARKS)
    np.testing.assert_allclose(state.model.network(0)[-1].bias.detach(), expected, rtol=1e-6)
    assert all(
        (layer.bias == 0).all() for layer in state.model.network(0)[:-1] if hasattr(layer, "bias")
    )


def test_a_face_that_is_never_repeated_has_no_part(faces: Faces):
    """Neither in the first guess nor in the steps."""
    own = REPEATS * [1, 1, 0, 1, 1, 0]
    ends = []
    recipe = replace(RECIPE, first_guess="mean_shape")
    for change in (0.0, 10.0):
        points = faces.points + np.where(own == 0, change, 0.0)[:, None, None]
        state = beginning(replace(faces, points=points), recipe, own)
        ends.append(state.model.network(0)[-1].bias.detach())
    assert torch.equal(*ends) and ends[0].any()
    samples = Samples(own, OBJECTIVE.augmentation, 0, RECIPE.strength, 60)
    assert set(samples.order(0, 50)) == {0, 1, 3, 4}


@pytest.mark.parametrize("recipe", [RECIPE, SGD], ids=["adamw", "sgd"])
def test_training_lowers_the_loss(faces: Faces, recipe: Recipe):
    still = Augmentation(rotation=0, flip=0, box_shift=0, blur=0, blur_sigma=1)
    losses = run(
        beginning(faces, recipe), faces, 40, recipe, replace(OBJECTIVE, augmentation=still)
    )
    assert len(losses) == 40
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize("recipe", [RECIPE, SGD], ids=["adamw", "sgd"])
def test_an_interrupted_training_goes_on_bit_by_bit(faces: Faces, recipe: Recipe):
    steps, broken_off = 42, 23  # the curve's points are 2 steps apart: this is between them
    whole, first, second = (
        beginning(faces, recipe),
        beginning(faces, recipe),
        beginning(faces, recipe),
    )
    run(whole, faces, steps, recipe)
    run(first, faces, steps, recipe, until=broken_off)
    file = io.BytesIO()
    torch.save(first.checkpoint(), file)
    file.seek(0)
    second.restore(torch.load(file, weights_only=True))
    assert second.step == broken_off
    run(second, faces, steps, recipe)
    assert second.step == whole.step == steps
    assert course(second) == course(whole)
    assert all(torch.equal(weights(second)[key], value) for key, value in weights(whole).items())


def test_trainings_differ_by_their_seed(faces: Faces):
    first = run(beginning(faces), faces, 3)
    assert first == run(beginning(faces), faces, 3)
    assert first != run(beginning(faces), faces, 3, objective=replace(OBJECTIVE, seed=1))


def test_the_steps_follow_the_order(faces: Faces, monkeypatch: pytest.MonkeyPatch):
    recipe, seen, perturb = replace(RECIPE, batch=3), [], on_processor.perturb

    def noting(faces: Faces, chosen: np.ndarray, *rest):
        seen.extend(chosen.tolist())
        return perturb(faces, chosen, *rest)

    monkeypatch.setattr(on_processor, "perturb", noting)
    run(beginning(faces, recipe), faces, 6, recipe)
    samples = Samples(REPEATS, OBJECTIVE.augmentation, OBJECTIVE.seed, RECIPE.strength, 18)
    assert seen == samples.order(0, 18).tolist()  # two epochs of nine


def test_the_curve_has_its_points(faces: Faces):
    recipe = replace(RECIPE, batch=2)
    state, seen = beginning(faces, recipe), []

    def validate(network: nn.Module) -> float:
        assert network is state.model.network(0)
        seen.append(state.step)
        return 100.0 - state.step

    run(state, faces, 45, recipe, validate=validate)
    assert seen == [*range(2, 45, 2), 45]  # every 45 // 20 steps, and the last
    assert [point.samples for point in course(state).curve] == [2 * step for step in seen]
    assert [point.val_nme for point in course(state).curve] == [100.0 - step for step in seen]
    assert [point.learning_rate for point in course(state).curve] == [
        learning_rate(recipe, "wing", step - 1, 45) for step in seen
    ]
    assert state.optimiser.param_groups[0]["lr"] == pytest.approx(1e-5)
    assert course(state).losses == []


def test_without_validation_faces_only_the_loss_is_known(faces: Faces):
    none = Faces(*(values[:0] for values in vars(faces).values()))
    validate = loop.validation("cnn6", none, np.ones(0), "float32", torch.device("cpu"))
    state = beginning(faces)
    run(state, faces, 40, validate=validate)
    assert state.step == 40 and not state.is_over
    assert [point.val_nme for point in course(state).curve] == 20 * [None]
    assert state.report() == (course(state).curve[-1].loss, None)


def test_a_point_of_the_curve_is_the_mean_loss_since_the_last(faces: Faces):
    """Of 40 steps two make a point; of 39 every one does, and shows what they were."""
    recipe = replace(RECIPE, final_learning_rate=1e-3)  # a steady rate: both runs step alike
    pairs, singles = beginning(faces, recipe), beginning(faces, recipe)
    run(pairs, faces, 40, recipe, until=6)
    run(singles, faces, 39, recipe, until=6)
    one = [point.loss for point in course(singles).curve]
    assert len(one) == 6
    assert [point.loss for point in course(pairs).curve] == pytest.approx(
        [(one[0] + one[1]) / 2, (one[2] + one[3]) / 2, (one[4] + one[5]) / 2]
    )


def test_a_loss_that_is_no_number_ends_the_training(faces: Faces):
    state = beginning(faces)
    with torch.no_grad():
        state.model.network(0)[0].bias.fill_(torch.nan)
    assert len(run(state, faces, 50)) == 1
    assert course(state).diverged == state.step == 1 and state.is_over
    assert [point.samples for point in course(state).curve] == [4]
    assert np.isnan(course(state).curve[0].loss)
    again = beginning(faces)
    again.restore(state.checkpoint())
    assert run(again, faces, 50) == [] and again.is_over


def test_too_high_a_rate_ends_the_training(faces: Faces):
    recipe = replace(SGD, learning_rate=1e6, final_learning_rate=1e6)
    state = beginning(faces, recipe)
    run(state, faces, 50, recipe)
    assert 1 < state.step < 50 and course(state).diverged == state.step


def test_a_loss_beyond_the_bound_ends_the_training(faces: Faces, monkeypatch: pytest.MonkeyPatch):
    state = beginning(faces)
    (first,) = run(state, faces, 50, until=1)
    assert not state.is_over and np.isfinite(first)
    monkeypatch.setattr(loop, "DIVERGED", 0.01)
    again = beginning(faces)
    again.restore(state.checkpoint())  # the bound stays with the training's own first loss
    assert len(run(again, faces, 50)) == 1
    assert course(again).diverged == again.step == 2 and course(again).first_loss == first
    assert np.isfinite(course(again).curve[-1].loss)


def test_a_finished_training_takes_no_more_steps(faces: Faces):
    state = beginning(faces)
    run(state, faces, 2)
    before = {key: value.clone() for key, value in weights(state).items()}
    assert run(state, faces, 2) == [] and not state.is_over
    assert all(torch.equal(weights(state)[key], value) for key, value in before.items())
