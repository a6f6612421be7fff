# Predictions of every run, and the one table of their errors.

SCORED_FACES = [
    paths.SAMPLES,
    paths.STAMP,
    paths.COEFFICIENTS,
    expand(paths.CROPS, split=["val", "test"], allow_missing=True),
]


for network in ONE_STAGE:

    rule:
        name:
            f"evaluate_{network}"
        input:
            code_files("stages.evaluate"),
            protocol_file,
            SCORED_FACES,
            of(network, paths.MODEL, 1),
            of(network, paths.MANIFEST, 1),
            of(network, paths.CURVE, 1),
        output:
            of(network, paths.PREDICTIONS),
            of(network, paths.CED),
        log:
            f"logs/evaluate/{{dataset}}-{{recipe}}-{network}-{{balance}}-{{loss}}-{{seed}}.log",
        conda:
            "../environment.yaml"
        threads: training_threads
        resources:
            **needs(5),
        params:
            network=network,
            science=science("context"),
        shell:
            "exec python -m stages.evaluate --dataset {wildcards.dataset}"
            " --recipe {wildcards.recipe} --network {params.network}"
            " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule evaluate_cnn6_7:
    input:
        code_files("stages.evaluate"),
        protocol_file,
        SCORED_FACES,
        of("cnn6_7", paths.FRAMES),
        of("cnn6_7", paths.MANIFEST, 1),
        of("cnn6_7", paths.MODEL, 2),
        of("cnn6_7", paths.MANIFEST, 2),
        of("cnn6_7", paths.CURVE, 2),
    output:
        of("cnn6_7", paths.PREDICTIONS),
        of("cnn6_7", paths.CED),
    log:
        "logs/evaluate/{dataset}-{recipe}-cnn6_7-{balance}-{loss}-{seed}.log",
    conda:
        "../environment.yaml"
    threads: training_threads
    resources:
        **needs(8),
    params:
        network="cnn6_7",
        science=science("context"),
    shell:
        "exec python -m stages.evaluate --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --network {params.network}"
        " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule baseline:
    input:
        code_files("stages.baseline"),
        protocol_file,
        SCORED_FACES,
        paths.CROPS.replace("{split}", "train"),
    output:
        of_method(paths.PREDICTIONS),
        of_method(paths.CED),
    log:
        "logs/baseline/{dataset}-{method}-{seed}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(baseline_work, memory=4000),
    params:
        science=science("context", "trees", "ert.{trees}"),
    shell:
        "exec python -m stages.baseline --dataset {wildcards.dataset} --method {wildcards.method}"
        " --seed {wildcards.seed}"


rule summary:
    input:
        code_files("stages.summary"),
        protocol_file,
        all_predictions,
    output:
        report(paths.SUMMARY, caption="../report/summary.rst", category="Scores"),
        directory(paths.METRICS),
        paths.SCORES,
    log:
        "logs/summary/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(3),
    params:
        science=science("runs", "baselines", "seeds"),
    shell:
        "exec python -m stages.summary --dataset {wildcards.dataset}"


rule package:
    input:
        code_files("stages.package"),
        protocol_file,
        LICENCES,
        paths.SAMPLES,
        paths.STAMP,
        paths.CROPS.replace("{split}", "train"),
        paths.POSE,
        all_models,
        all_predictions,
    output:
        directory(paths.DETECTORS),
    log:
        "logs/package/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(10, memory=4000),
    params:
        science=science(
            "runs",
            "seeds",
            "raw.{dataset}",
            "dataset.{dataset}.box",
            "context",
            "correction",
        ),
    shell:
        "exec python -m stages.package --dataset {wildcards.dataset}"
