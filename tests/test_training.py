"""Training: its schedule, its data order, and that a broken-off one goes on bit by bit."""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from wingloss import training
from wingloss.augmentation import Augmentation, Faces
from wingloss.networks import build
from wingloss.recipe import Recipe, Strength, WingShape
from wingloss.training import Objective, Samples, State, learning_rate, start, train

CPU = torch.device("cpu")
LANDMARKS, CROP = 3, 32
RECIPE = Recipe(
    optimiser="adamw",
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    decay="cosine",
    warmup=0,
    learning_rate_factor={"l2": 0.1},
    momentum=0.9,
    weight_decay=0.05,
    batch=4,
    first_guess="zero",
    precision="float32",
    samples={"tiny": 60},
    strength=Strength(1, 1),
)
SGD = replace(RECIPE, optimiser="sgd", learning_rate=3e-5, weight_decay=5e-4)
OBJECTIVE = Objective(
    loss="wing",
    wing=WingShape(10, 2),
    augmentation=Augmentation(rotation=30, flip=0.5, box_shift=0.05, blur=0.5, blur_sigma=1),
    seed=0,
)
REPEATS = np.array([1, 2, 1, 3, 1, 1])


def whole_crops(pictures: np.ndarray, points: np.ndarray) -> Faces:
    """Faces whose frames are their whole context crops."""
    size = pictures.shape[1]
    to_unit = np.array([[1 / size, 0, 0.5 / size], [0, 1 / size, 0.5 / size]])
    return Faces(pictures, points, np.repeat(to_unit[None], len(pictures), axis=0))


@pytest.fixture(scope="module")
def faces() -> Faces:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (len(REPEATS), CROP, CROP, 3), dtype=np.uint8)
    return whole_crops(pictures, rng.uniform(8, 24, (len(REPEATS), LANDMARKS, 2)))


def beginning(faces: Faces, recipe: Recipe = RECIPE) -> State:
    network = build("cnn6", LANDMARKS, seed=0).to(memory_format=torch.channels_last)
    return start(network, "cnn6", faces, REPEATS, recipe)


def run(
    state: State,
    faces: Faces,
    steps: int,
    recipe: Recipe = RECIPE,
    objective: Objective = OBJECTIVE,
    validate: Callable[[nn.Module], float] = lambda network: 5.0,
    until: int | None = None,
) -> list[float]:
    """Trains to ``steps``, or breaks off at ``until``; the loss of every step seen."""
    losses = []
    swap = np.array([1, 0, 2])
    for now in train(state, "cnn6", faces, REPEATS, validate, objective, recipe, steps, swap, CPU):
        losses.append(now.losses[-1] if now.losses else now.curve[-1].loss)
        if now.step == until:
            break
    return losses


def weights(state: State) -> dict[str, Tensor]:
    return state.network.state_dict()


# the schedule


@pytest.mark.parametrize("decay", ["log_linear", "cosine"])
def test_the_rate_falls_from_the_first_to_the_last(decay: str):
    recipe = replace(RECIPE, decay=decay)
    rates = [learning_rate(recipe, "wing", step, 101) for step in range(101)]
    assert (rates[0], rates[-1]) == (pytest.approx(1e-3), pytest.approx(1e-5))
    middle = {"log_linear": 1e-4, "cosine": (1e-3 + 1e-5) / 2}[decay]
    assert rates[50] == pytest.approx(middle)
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
    assert training.total_steps(replace(RECIPE, samples={"tiny": samples}), "tiny") == steps


# the data order


def samples_of(
    repeats: np.ndarray, seed: int = 0, strength: Strength = RECIPE.strength, budget: int = 60
) -> Samples:
    return Samples(repeats, OBJECTIVE.augmentation, seed, strength, budget)


def order(repeats: np.ndarray, seed: int, first: int, count: int) -> np.ndarray:
    return samples_of(repeats, seed).order(first, count)


repetitions = st.lists(st.integers(0, 4), min_size=1, max_size=12).filter(any).map(np.array)
seeds = st.integers(0, 2**32 - 1)


@given(repeats=repetitions, seed=seeds, epoch=st.integers(0, 1000))
def test_an_epoch_has_every_balanced_face_once(repeats: np.ndarray, seed: int, epoch: int):
    size = int(repeats.sum())
    seen = Counter(order(repeats, seed, epoch * size, size).tolist())
    assert seen == Counter(np.repeat(np.arange(len(repeats)), repeats).tolist())


@given(
    repeats=repetitions,
    seed=seeds,
    first=st.integers(0, 100),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_the_order_does_not_depend_on_batches(
    repeats: np.ndarray, seed: int, first: int, cuts: list[int]
):
    ends = first + np.cumsum([0, *cuts])
    pieces = [
        order(repeats, seed, int(low), int(high - low))
        for low, high in zip(ends[:-1], ends[1:], strict=True)
    ]
    whole = order(repeats, seed, first, sum(cuts))
    assert np.concatenate([[], *pieces]).tolist() == whole.tolist()


def test_seeds_and_epochs_have_orders_of_their_own():
    ones = np.ones(30, dtype=np.int64)
    orders = [order(ones, seed, epoch * 30, 30) for seed in range(3) for epoch in range(3)]
    assert len({tuple(found) for found in orders}) == 9
    assert all(found.tolist() != list(range(30)) for found in orders)


@given(seed=seeds, first=st.integers(0, 5 * training.DRAWS), cut=st.integers(0, 9))
def test_a_samples_perturbation_depends_on_its_place_alone(seed: int, first: int, cut: int):
    samples = samples_of(REPEATS, seed)
    whole = samples.draws(first, 9)
    again = samples_of(REPEATS, seed)
    parts = [again.draws(first + cut, 9 - cut), again.draws(first, cut)]  # out of order
    for name, values in vars(whole).items():
        assert len(values) == 9
        assert np.array_equal(values[cut:], getattr(parts[0], name))
        assert np.array_equal(values[:cut], getattr(parts[1], name))


@given(first=st.integers(0, 60), count=st.integers(0, 40))
def test_the_perturbations_weaken_from_the_first_sample_to_the_last(first: int, count: int):
    """The same chances, with linearly less of rotation and blur; boxes and flips stay."""
    usual = samples_of(REPEATS).draws(first, count)
    found = samples_of(REPEATS, strength=Strength(1, 0.25), budget=101).draws(first, count)
    strength = 1 - 0.75 * np.arange(first, first + count) / 100
    np.testing.assert_allclose(found.angle, strength * usual.angle)
    assert np.array_equal(found.corners, usual.corners)
    assert np.array_equal(found.flipped, usual.flipped)
    assert not (found.blurred & ~usual.blurred).any()


def test_without_strength_faces_are_upright_and_sharp():
    drawn = samples_of(REPEATS, strength=Strength(0, 0)).draws(0, 100)
    assert not drawn.angle.any() and not drawn.blurred.any()
    assert len(np.unique(drawn.corners)) == 400
    assert drawn.flipped.any() and not drawn.flipped.all()


def test_samples_seeds_and_epochs_have_perturbations_of_their_own():
    samples = [samples_of(REPEATS, seed) for seed in range(3)]
    angles = np.concatenate([s.draws(place, 9).angle for s in samples for place in (0, 9, 5000)])
    assert len(np.unique(angles)) == len(angles)


# the steps


def test_the_optimisers_are_the_recipes(faces: Faces):
    sgd, adamw = beginning(faces, SGD).optimiser, beginning(faces).optimiser
    assert isinstance(sgd, torch.optim.SGD) and isinstance(adamw, torch.optim.AdamW)
    assert (sgd.defaults["momentum"], sgd.defaults["weight_decay"]) == (0.9, 5e-4)
    assert adamw.defaults["betas"] == (0.9, 0.999) and adamw.defaults["weight_decay"] == 0.05


@pytest.mark.parametrize("recipe", [RECIPE, SGD])
def test_weights_decay_and_biases_do_not(faces: Faces, recipe: Recipe):
    state = beginning(faces, replace(recipe, weight_decay=0.5, learning_rate=0.1, momentum=0.0))
    for parameter in state.network.parameters():
        parameter.data.fill_(1.0)
        parameter.grad = torch.zeros_like(parameter)
    state.optimiser.step()
    for parameter in state.network.parameters():
        expected = 1.0 if parameter.ndim == 1 else 0.95
        assert torch.allclose(parameter, torch.tensor(expected))


@pytest.mark.parametrize("guess", ["zero", "mean_shape"])
def test_the_first_guess_is_in_the_last_bias(faces: Faces, guess: str):
    state = beginning(faces, replace(RECIPE, first_guess=guess))
    mean = (faces.points.mean(axis=0) + 0.5) * 2 - 0.5  # input pixels are half as large
    expected = mean.T.ravel() if guess == "mean_shape" else np.zeros(2 * LANDMARKS)
    np.testing.assert_allclose(state.network[-1].bias.detach(), expected, rtol=1e-6)
    assert all((layer.bias == 0).all() for layer in state.network[:-1] if hasattr(layer, "bias"))


def test_a_face_that_is_never_repeated_has_no_part(faces: Faces):
    """Neither in the first guess nor in the steps."""
    own = REPEATS * [1, 1, 0, 1, 1, 0]
    ends = []
    for change in (0.0, 10.0):
        points = faces.points + np.where(own == 0, change, 0.0)[:, None, None]
        network = build("cnn6", LANDMARKS, seed=0)
        state = start(network, "cnn6", replace(faces, points=points), own, RECIPE)
        ends.append(state.network[-1].bias.detach())
    assert torch.equal(*ends)
    samples = samples_of(own)
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
def test_a_broken_off_training_goes_on_bit_by_bit(faces: Faces, recipe: Recipe):
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
    assert second.curve == whole.curve
    assert all(torch.equal(weights(second)[key], value) for key, value in weights(whole).items())


def test_trainings_differ_by_their_seed(faces: Faces):
    first = run(beginning(faces), faces, 3)
    assert first == run(beginning(faces), faces, 3)
    assert first != run(beginning(faces), faces, 3, objective=replace(OBJECTIVE, seed=1))


def test_the_steps_follow_the_order(faces: Faces, monkeypatch: pytest.MonkeyPatch):
    recipe, seen, perturb = replace(RECIPE, batch=3), [], training.perturb

    def noting(faces: Faces, chosen: np.ndarray, *rest):
        seen.extend(chosen.tolist())
        return perturb(faces, chosen, *rest)

    monkeypatch.setattr(training, "perturb", noting)
    run(beginning(faces, recipe), faces, 6, recipe)
    assert seen == order(REPEATS, OBJECTIVE.seed, 0, 18).tolist()  # two epochs of nine


def test_the_curve_has_its_points(faces: Faces):
    recipe = replace(RECIPE, batch=2)
    state, seen = beginning(faces, recipe), []

    def validate(network: nn.Module) -> float:
        assert network is state.network
        seen.append(state.step)
        return 100.0 - state.step

    losses = []
    for now in train(
        state, "cnn6", faces, REPEATS, validate, OBJECTIVE, recipe, 45, np.arange(3), CPU
    ):
        losses.append(now.losses[-1] if now.losses else None)
    assert seen == [*range(2, 45, 2), 45]  # every 45 // 20 steps, and the last
    assert [point.samples for point in state.curve] == [2 * step for step in seen]
    assert [point.val_nme for point in state.curve] == [100.0 - step for step in seen]
    assert [point.learning_rate for point in state.curve] == [
        learning_rate(recipe, "wing", step - 1, 45) for step in seen
    ]
    assert state.optimiser.param_groups[0]["lr"] == pytest.approx(1e-5)
    assert state.losses == []


def test_a_point_of_the_curve_is_the_mean_loss_since_the_last(faces: Faces):
    """Of 40 steps two make a point; of 39 every one does, and shows what they were."""
    recipe = replace(RECIPE, final_learning_rate=1e-3)  # a steady rate: both runs step alike
    pairs, singles = beginning(faces, recipe), beginning(faces, recipe)
    run(pairs, faces, 40, recipe, until=6)
    run(singles, faces, 39, recipe, until=6)
    one = [point.loss for point in singles.curve]
    assert len(one) == 6
    assert [point.loss for point in pairs.curve] == pytest.approx(
        [(one[0] + one[1]) / 2, (one[2] + one[3]) / 2, (one[4] + one[5]) / 2]
    )


def test_a_loss_that_is_no_number_ends_the_training(faces: Faces):
    state = beginning(faces)
    with torch.no_grad():
        state.network[0].bias.fill_(torch.nan)
    assert len(run(state, faces, 50)) == 1
    assert state.diverged and state.step == 1
    assert [point.samples for point in state.curve] == [4]
    assert np.isnan(state.curve[0].loss)
    again = beginning(faces)
    again.restore(state.checkpoint())
    assert run(again, faces, 50) == [] and again.diverged


def test_too_high_a_rate_ends_the_training(faces: Faces):
    recipe = replace(SGD, learning_rate=1e6, final_learning_rate=1e6)
    state = beginning(faces, recipe)
    run(state, faces, 50, recipe)
    assert state.diverged and 1 < state.step < 50


def test_a_loss_beyond_the_bound_ends_the_training(faces: Faces, monkeypatch: pytest.MonkeyPatch):
    state = beginning(faces)
    (first,) = run(state, faces, 50, until=1)
    assert not state.diverged and np.isfinite(first)
    monkeypatch.setattr(training, "DIVERGED", 0.01)
    again = beginning(faces)
    again.restore(state.checkpoint())  # the bound stays with the training's own first loss
    assert len(run(again, faces, 50)) == 1
    assert again.diverged and again.step == 2 and again.first_loss == first
    assert np.isfinite(again.curve[-1].loss)


def test_a_finished_training_takes_no_more_steps(faces: Faces):
    state = beginning(faces)
    run(state, faces, 2)
    before = {key: value.clone() for key, value in weights(state).items()}
    assert run(state, faces, 2) == [] and not state.diverged
    assert all(torch.equal(weights(state)[key], value) for key, value in before.items())


# looking at faces


class Brightness(nn.Module):
    """Its one landmark: x = 31.5 (1 + the mean of the input's red), y = 31.5, input pixels."""

    def forward(self, pictures: Tensor) -> Tensor:
        assert not self.training
        red = pictures[:, 0].mean(dim=(1, 2))
        return torch.stack([31.5 * (red + 1), torch.full_like(red, 31.5)], dim=1)


def brightness() -> nn.Sequential:
    return nn.Sequential(Brightness(), nn.Identity())


@pytest.fixture(scope="module")
def greys() -> Faces:
    """More faces than a batch, as even grey crops of 32 px, 0, 1, 2, ... bright."""
    count = training.EVALUATION_BATCH + 6
    grey = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return whole_crops(
        np.broadcast_to(grey, (count, CROP, CROP, 3)).copy(), np.full((count, 1, 2), 15.5)
    )


def test_predictions_are_in_pixels_of_the_crops_and_in_their_order(greys: Faces):
    found = training.predict(brightness(), "cnn6", greys, "float32", CPU)
    assert found.shape == greys.points.shape
    # input pixels are half as large; centres of pixels aren't at their corners
    expected = (63 * np.arange(len(greys)) / 255 + 0.5) / 2 - 0.5
    np.testing.assert_allclose(found[:, 0, 0], expected, atol=1e-5)
    np.testing.assert_allclose(found[:, 0, 1], 15.5, atol=1e-5)


def test_no_faces_have_no_predictions(greys: Faces):
    nobody = Faces(greys.crops[:0], greys.points[:0], greys.to_unit[:0])
    assert training.predict(brightness(), "cnn6", nobody, "float32", CPU).shape == (0, 1, 2)


def test_validation_is_the_mean_error_in_percent(greys: Faces):
    dark = Faces(
        greys.crops[[0, 0]], np.array([[[2.75, 15.5]], [[-0.25, 21.5]]]), greys.to_unit[:2]
    )
    validate = training.validation("cnn6", dark, np.array([30.0, 60.0]), "float32", CPU)
    # both are found at (-0.25, 15.5): 3 px off of 30 and 6 px off of 60, that is 10 % each
    assert validate(brightness()) == pytest.approx(10, abs=1e-4)


def test_inputs_are_rgb_from_minus_one_to_one():
    pictures = np.zeros((2, 4, 5, 3), dtype=np.uint8)
    pictures[1, 2, 3] = (255, 51, 0)
    tensor = training.to_input(torch.from_numpy(pictures), CPU)
    assert tensor.shape == (2, 3, 4, 5) and tensor.dtype == torch.float32
    assert tensor[1, :, 2, 3].tolist() == pytest.approx([1, -0.6, -1])
    assert tensor[0].eq(-1).all()
    assert tensor.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("native", [True, False])
def test_bfloat16_is_used_where_the_machine_has_it(monkeypatch, native: bool):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    found = training.available_precision("bfloat16", CPU)
    assert found == ("bfloat16" if native else "float32")
    assert training.available_precision("float32", CPU) == "float32"
    seen = []
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    for layer in network:
        layer.register_forward_hook(lambda *hooked: seen.append(hooked[2].dtype))
    training.forward(network, torch.ones(1, 2), found)
    assert seen == [getattr(torch, found), torch.float32]  # the last layer is exact
