# Predictions of every run, and the one table that all figures are made from.

SCORED_FACES = [
    layout.SAMPLES,
    layout.STAMP,
    layout.COEFFICIENTS,
    expand(layout.CROPS, split=["val", "test"], allow_missing=True),
]


for network in ("cnn6", "resnet50"):

    rule:
        name:
            f"evaluate_{network}"
        input:
            code_files("stages.evaluate"),
            protocol_file,
            SCORED_FACES,
            of(network, layout.MODEL, 1),
            of(network, layout.MANIFEST, 1),
        output:
            of(network, layout.PREDICTIONS),
            of(network, layout.CED),
        log:
            f"logs/evaluate/{{dataset}}-{network}-{{balance}}-{{loss}}-{{seed}}.log",
        conda:
            "../environment.yaml"
        threads: training_threads
        resources:
            work=5,
        params:
            network=network,
            science=science("context"),
        shell:
            "exec python -m stages.evaluate --dataset {wildcards.dataset} --network {params.network}"
            " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule evaluate_cnn6_7:
    input:
        code_files("stages.evaluate"),
        protocol_file,
        SCORED_FACES,
        of("cnn6_7", layout.FRAMES),
        of("cnn6_7", layout.MANIFEST, 1),
        of("cnn6_7", layout.MODEL, 2),
        of("cnn6_7", layout.MANIFEST, 2),
    output:
        of("cnn6_7", layout.PREDICTIONS),
        of("cnn6_7", layout.CED),
    log:
        "logs/evaluate/{dataset}-cnn6_7-{balance}-{loss}-{seed}.log",
    conda:
        "../environment.yaml"
    threads: training_threads
    resources:
        work=8,
    params:
        network="cnn6_7",
        science=science("context"),
    shell:
        "exec python -m stages.evaluate --dataset {wildcards.dataset} --network {params.network}"
        " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule baseline:
    input:
        code_files("stages.baseline"),
        protocol_file,
        SCORED_FACES,
        layout.CROPS.replace("{split}", "train"),
    output:
        of_method(layout.PREDICTIONS),
        of_method(layout.CED),
    log:
        "logs/baseline/{dataset}-{method}-{seed}.log",
    conda:
        "../environment.yaml"
    resources:
        work=15,
    params:
        science=science("context", "ert"),
    shell:
        "exec python -m stages.baseline --dataset {wildcards.dataset} --method {wildcards.method}"
        " --seed {wildcards.seed}"


rule summary:
    input:
        code_files("stages.summary"),
        protocol_file,
        all_predictions,
    output:
        report(layout.SUMMARY, caption="../report/summary.rst", category="Scores"),
        directory(layout.METRICS),
    log:
        "logs/summary/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        work=3,
    params:
        science=science("runs", "baselines", "seeds"),
    shell:
        "exec python -m stages.summary --dataset {wildcards.dataset}"
