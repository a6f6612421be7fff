"""params.yaml: what it may say, and the one line that says what is wrong with it."""

import copy
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from project import ROOT, Project

from pipeline.config import paths
from pipeline.config.params import Params, load
from pipeline.errors import UserError
from stages import balance, pose
from wingloss import protocol, validation

SCHEMA = ROOT / "workflow/schemas/params.schema.json"
COMMITTED = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
RUNS = {"network": "cnn6", "recipe": ["fast"], "balance": ["none"], "loss": ["l1"]}


def with_value(dotted: str, value: Any) -> dict[str, Any]:
    """The committed parameters with one of them set."""
    params = copy.deepcopy(COMMITTED)
    *above, last = dotted.split(".")
    table = params
    for key in above:
        table = table[key]
    table[last] = value
    return params


def without(dotted: str) -> dict[str, Any]:
    """The committed parameters without one of them."""
    params = copy.deepcopy(COMMITTED)
    *above, last = dotted.split(".")
    table = params
    for key in above:
        table = table[key]
    del table[last]
    return params


# Changes, and what the refusal must say; those of SHAPE a JSON schema can see too.
SHAPE = {
    "unknown key": (with_value("threads", 4), "threads: no such key"),
    "misspelt key": (with_value("correction", {"margn": 1.2}), "did you mean 'margin'?"),
    "misspelt key of what may be null": (
        with_value("raw.synthetic.faces", {"yaw_scal": 14}),
        "raw.synthetic.faces.yaw_scal: no such key; did you mean 'yaw_scale'? allowed: image_size",
    ),
    "number that ends nowhere": (with_value("context.scale", float("inf")), "inf should be a num"),
    "number for a truth": (with_value("datasets", [True]), "datasets[0]: True should be text"),
    "missing key": (without("context.size"), "context.size: this key is missing"),
    "misspelt value": (
        with_value("recipes.fast.cnn6.decay", "cosin"),
        "choose from log_linear, linear, cosine",
    ),
    "text for a number": (
        with_value("recipes.fast.cnn6.learning_rate", "1e-3"),
        "recipes.fast.cnn6.learning_rate: '1e-3' should be a number (YAML wants a point",
    ),
    "number for a list": (with_value("seeds", 3), "seeds: 3 should be a list"),
    "list for a table": (with_value("loss", ["l2"]), "loss: ['l2'] should be a table"),
    "fraction": (with_value("dataset.synthetic.bins", 2.5), "2.5 should be a whole number"),
    "truth for a number": (with_value("context.size", True), "True should be a whole number"),
    "below its bound": (with_value("context.size", 8), "context.size: 8 is out of range"),
    "on an open bound": (with_value("correction.margin", 0), "must be more than 0"),
    "above its bound": (with_value("dataset.300w.validation.share", 0.9), "must be at most 0.5"),
    "no samples": (with_value("recipes.fast.cnn6.samples.synthetic", 0), "must be at least 1"),
    "negative samples": (
        with_value("recipes.long.cnn7.samples.300w", -5),
        "recipes.long.cnn7.samples.300w: -5 is out of range",
    ),
    "negative factor": (
        with_value("recipes.paper.cnn6.learning_rate_factor", {"l2": -1}),
        "recipes.paper.cnn6.learning_rate_factor.l2: -1 is out of range; it must be more than 0",
    ),
    "negative seed": (with_value("seeds", [-1]), "seeds[0]: -1 is out of range"),
    "nothing at all": (None, "should be a table"),
}
MEANING = {
    "number that is none": (with_value("context.scale", float("nan")), "nan should be a number"),
    "whole number with a point": (with_value("context.size", 64.0), "64.0 should be a whole"),
    "undefined loss": (
        with_value("runs.cnn6.loss", ["wing", "winged"]),
        "runs.cnn6.loss: 'winged' is not defined; did you mean 'wing'? there are ",
    ),
    "undefined first loss": (with_value("stage_one.loss", "x"), "stage_one.loss: 'x' is not"),
    "misspelt recipe": (
        with_value("runs.cnn6.recipe", ["fats"]),
        "runs.cnn6.recipe: 'fats' is not defined; did you mean 'fast'?",
    ),
    "undefined network": (
        with_value("runs.cnn6.network", "cnn7"),
        "runs.cnn6.network: 'cnn7' is not defined; did you mean 'cnn6_7'? there are cnn6, ",
    ),
    "a recipe as what has none": (
        with_value("recipes.none", COMMITTED["recipes"]["fast"]),
        "recipes.none: baselines have this in a recipe's place; rename it",
    ),
    "a recipe without the network": (
        without("recipes.fast.cnn7"),
        "recipes.fast.cnn7: runs.cnn6_7 need it; there is none",
    ),
    "data set without quotes": (
        with_value("datasets", [2024]),
        "2024 should be text (YAML wants quotes",
    ),
    "misspelt data set": (with_value("datasets", ["300-w"]), "small letters and digits only"),
    "no such data set": (
        with_value("datasets", ["celeba"]),
        "'celeba' has no protocol; there are 300w, aflw, cofw, ",
    ),
    "no budget": (
        with_value("recipes.fast.cnn7.samples", {"300w": 9}),
        "recipes.fast.cnn7.samples: 'synthetic' is not defined; there are 300w",
    ),
    "no preparation": (
        without("dataset.synthetic"),
        "datasets: 'synthetic' has no entry in `dataset`; copy dataset.mine",
    ),
    "no source": (
        without("raw.synthetic"),
        "datasets: 'synthetic' has no entry in `raw`; copy raw.mine",
    ),
    "twice the same": (with_value("seeds", [1, 1]), "seeds: an entry stands there twice"),
    "no run": (
        with_value("runs", {n: one | {"balance": []} for n, one in COMMITTED["runs"].items()}),
        "they ask for no run at all",
    ),
    "one run under two keys": (
        with_value("runs.table2.loss", ["wing_4_1", "wing"]),
        "runs.table2: fast/none/wing is among runs.cnn6 already",
    ),
    "twice the same loss": (with_value("runs.cnn6.loss", ["l2", "l2"]), "stands there twice"),
    "wing without shapes": (
        with_value("loss.wing", {"kind": "wing"}),
        "loss.wing.cnn6: this key is missing",
    ),
    "wing without shapes for stage two": (
        with_value("runs.cnn6_7.loss", ["wing_8_1"]),
        "loss.wing_8_1.cnn7: cnn6_7's runs need w, epsilon there",
    ),
    "wing without shapes for ResNet-50": (
        with_value("runs.resnet50", RUNS | {"network": "resnet50", "loss": ["wing_8_1"]}),
        "loss.wing_8_1.resnet50: resnet50's runs need w, epsilon there",
    ),
    "heat maps' loss of coordinates": (
        with_value("runs.cnn6.loss", ["adaptive_wing"]),
        "runs.cnn6.loss: adaptive_wing is no loss of coordinates",
    ),
    "coordinates' loss of heat maps": (
        with_value("runs.hourglass", RUNS | {"network": "hourglass"}),
        "runs.hourglass.loss: l1 is no loss of heat maps",
    ),
    "a stage one of heat maps": (
        with_value("stage_one.loss", "adaptive_wing"),
        "stage_one.loss: adaptive_wing is no loss of CNN-6's",
    ),
    "heat maps that begin with a mean shape": (
        with_value("recipes.fast.hourglass.first_guess", "mean_shape"),
        "recipes.fast: hourglass.first_guess: heat maps begin with zero",
    ),
    "a range that falls": (
        with_value("recipes.paper.cnn6.input_range", [1, 0]),
        "recipes.paper.cnn6: input_range: [1.0, 0.0] should rise",
    ),
    "a rate that rises": (
        with_value("recipes.fast.cnn6.final_learning_rate", 0.1),
        "recipes.fast.cnn6: final_learning_rate: 0.1 is more than learning_rate, 0.003",
    ),
    "rendered faces that nobody renders": (
        with_value("raw.synthetic", None),
        "raw.synthetic: nobody publishes these faces",
    ),
    "a hash of weights that is none": (
        with_value("recipes.fast.cnn6.weights", {"file": "model.safetensors", "sha256": "ABC"}),
        "recipes.fast.cnn6.weights.sha256: 'ABC' should look like ",
    ),
    "published weights for CNN-6": (
        with_value("recipes.paper.cnn6.weights", "imagenet"),
        "recipes.paper: cnn6.weights: nobody published any",
    ),
    "shapes without wing": (
        with_value("loss.l2", {**COMMITTED["loss"]["wing"], "kind": "l2"}),
        "loss.l2.cnn6: no such key; allowed: kind",
    ),
}


def test_the_schema_is_the_models() -> None:
    written = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert written == validation.schema(Params), (
        "run `python -m commands.schema` and commit what it writes"
    )


def test_model_and_schema_take_the_committed_parameters() -> None:
    params = load(ROOT / "params.yaml")
    jsonschema.validate(COMMITTED, validation.schema(Params))
    assert params.recipes["paper"].cnn6.samples["300w"] == 960_000  # 120k iterations of 8
    assert params.correction.margin == COMMITTED["correction"]["margin"]


@pytest.mark.parametrize("case", [*SHAPE, *MEANING])
def test_a_refusal_is_one_line_that_names_key_and_remedy(case: str, tmp_path: Path) -> None:
    params, message = (SHAPE | MEANING)[case]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_runs_have_any_names_and_recipes_only_the_networks_that_they_train(tmp_path: Path) -> None:
    quick = {"cnn6": COMMITTED["recipes"]["fast"]["cnn6"]}
    params = with_value("runs", {"mine": RUNS | {"recipe": ["paper", "quick"]}})
    params["recipes"]["quick"] = quick
    jsonschema.validate(params, validation.schema(Params))
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    assert [str(run) for run in paths.runs(load(path), "synthetic")] == [
        "synthetic/paper/cnn6/none/l1/seed0",
        "synthetic/quick/cnn6/none/l1/seed0",
    ]


@pytest.mark.parametrize("case", SHAPE)
def test_the_schema_refuses_what_the_model_refuses(case: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(SHAPE[case][0], validation.schema(Params))


def leaves(value: Any, where: str = "") -> Iterator[str]:
    """The dotted names of all numbers and texts in the parameters' tables."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{where}.{key}" if where else key)
    elif not isinstance(value, list):
        yield where


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.floats(-2, 2), st.text(max_size=4),
    st.lists(st.integers(0, 3), max_size=2), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip


@given(st.sampled_from(sorted(leaves(COMMITTED))), JUNK)
def test_what_the_schema_refuses_the_model_refuses_too(dotted: str, value: Any) -> None:
    """The schema can't look across fields; apart from that the two say the same."""
    params = with_value(dotted, value)
    fits = jsonschema.Draft202012Validator(validation.schema(Params)).is_valid(params)
    try:
        validation.build(Params, params)
    except validation.Refused as error:
        words = ("is not defined", "runs need", "is more than")
        across_fields = any(word in str(error) for word in words)
        whole = isinstance(value, float) and value.is_integer()  # JSON calls 2.0 an integer
        assert not fits or across_fields or whole
    else:
        assert fits


def test_not_yaml_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("datasets: [synthetic]\nseeds: [0\ntrees: reduced\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"params\.yaml: line 3: this is not YAML: [^\n]*$"):
        load(path)


def test_a_key_that_stands_there_twice_is_refused(tmp_path: Path) -> None:
    """As it would with a block pasted from the docs; PyYAML alone takes the last one."""
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(f"{text}datasets: [mine]\n", encoding="utf-8")
    line = text.count("\n") + 1
    message = rf"line {line}: this is not YAML: the key 'datasets' stands in one table twice$"
    with pytest.raises(UserError, match=message):
        load(path)


def test_a_stage_ends_with_the_one_line(project: Project, call: Callable) -> None:
    project.set(**{"dataset.synthetic.bins": "9 bins"})
    status, said = call(project, balance, dataset="synthetic")
    assert status == 1
    assert said == "error: params.yaml: dataset.synthetic.bins: '9 bins' should be a whole number\n"
    assert "Traceback" in project.log("balance/synthetic.log")


def test_a_missing_input_names_the_remedy(project: Project, call: Callable) -> None:
    status, said = call(project, pose, dataset="synthetic")
    assert (status, said.count("\n")) == (1, 1)
    assert said.startswith("error: data/prepared/synthetic/samples.csv: no such file; run ")


@pytest.mark.parametrize(
    "text, message",
    [
        ("trees: [reduced", "line 2: this is not YAML: did not find expected ',' or ']'"),
        (yaml.safe_dump(SHAPE["text for a number"][0]), SHAPE["text for a number"][1]),
    ],
    ids=["not YAML", "text for a number"],
)
def test_snakemake_ends_with_the_one_line(project: Project, text: str, message: str) -> None:
    (project.root / "params.yaml").write_text(text, encoding="utf-8")
    profile, *said = project.snakemake("--dry-run", status=1).splitlines()
    assert len(said) == 1
    assert said[0].startswith(f"error: params.yaml: {message}")


def test_hourglasses_of_a_boundary_need_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = dataclasses.replace(protocol.load("synthetic"), boundaries=())
    monkeypatch.setattr(protocol, "load", lambda name: rules)
    for key, refused in (("hourglass", True), ("hourglass_plain", False)):
        path = tmp_path / f"{key}.yaml"
        runs = RUNS | {"network": key, "loss": ["adaptive_wing"]}
        path.write_text(yaml.safe_dump(with_value(f"runs.{key}", runs)))
        if refused:
            with pytest.raises(UserError, match="runs.hourglass: the protocol of synthetic has no"):
                load(path)
        else:
            load(path)


def test_jitter_needs_validation_faces() -> None:
    chosen = with_value("correction.training_crops", "matched_jitter")
    validation.build(Params, chosen)
    chosen["dataset"]["synthetic"]["validation"]["share"] = 0
    with pytest.raises(
        validation.Refused, match=r"set dataset\.synthetic\.validation\.share above"
    ):
        validation.build(Params, chosen)
