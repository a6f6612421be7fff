# Training: CNN-6, ResNet-50, and the two stages of CNN-6/7 with the correction between them
# (Section 6).
# Everything on the way to CNN-7 goes first, because it takes longest; so stage one is trained
# before the CNN-6 run that shares its parameters, which the run store then already holds. All
# corrections come before the first CNN-7, so that a GPU can train all CNN-7 side by side.

FACES = [
    paths.SAMPLES,
    expand(paths.CROPS, split=["train", "val"], allow_missing=True),
]


# Networks of one stage.
for network in ONE_STAGE:

    rule:
        name:
            network
        input:
            code_files("stages.train"),
            protocol_file,
            FACES,
            paths.REPEATS,
        output:
            of(network, paths.MODEL, 1),
            of(network, paths.CURVE, 1),
            of(network, paths.MANIFEST, 1),
        log:
            f"logs/train/{{dataset}}-{{recipe}}-{network}-1-{{balance}}-{{loss}}-{{seed}}.log",
        conda:
            "../environment.yaml"
        threads: training_threads
        resources:
            **needs(training_work(network), memory=4000, gpu=GPUS),
        params:
            network=network,
            science=science(
                f"recipes.{{recipe}}.{network}",
                "loss.{loss}",
                f"augmentation.{network}",
                "context",
            ),
        shell:
            "exec python -m stages.train --dataset {wildcards.dataset}"
            " --recipe {wildcards.recipe} --network {params.network} --stage 1"
            " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule cnn6_7_stage1:
    input:
        code_files("stages.train"),
        protocol_file,
        FACES,
        expand(paths.REPEATS, balance=paths.BALANCES, allow_missing=True),
    output:
        of("cnn6_7", paths.MODEL, 1),
        of("cnn6_7", paths.CURVE, 1),
        of("cnn6_7", paths.MANIFEST, 1),
    log:
        "logs/train/{dataset}-{recipe}-cnn6_7-1-{balance}-{loss}-{seed}.log",
    priority: 4
    conda:
        "../environment.yaml"
    threads: training_threads
    resources:
        **needs(training_work("cnn6"), memory=4000, gpu=GPUS),
    params:
        network="cnn6_7",
        science=science(
            "recipes.{recipe}.cnn6",
            "loss",
            "stage_one",
            "augmentation.cnn6",
            "context",
        ),
    shell:
        "exec python -m stages.train --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --network {params.network} --stage 1"
        " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule correct:
    input:
        code_files("stages.correct"),
        protocol_file,
        paths.SAMPLES,
        expand(paths.CROPS, split=paths.SPLITS, allow_missing=True),
        expand(paths.REPEATS, balance=paths.BALANCES, allow_missing=True),
        paths.POSE,
        of("cnn6_7", paths.MODEL, 1),
    output:
        of("cnn6_7", paths.FRAMES),
    log:
        "logs/correct/{dataset}-{recipe}-cnn6_7-{balance}-{loss}-{seed}.log",
    priority: 3
    conda:
        "../environment.yaml"
    threads: training_threads
    resources:
        **needs(correction_work, memory=4000, gpu=GPUS),
    params:
        network="cnn6_7",
        science=science(
            "recipes.{recipe}.cnn6",
            "loss",
            "stage_one",
            "augmentation.cnn6",
            "correction",
            "context",
        ),
    shell:
        "exec python -m stages.correct --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --network {params.network}"
        " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"


rule cnn6_7_stage2:
    input:
        code_files("stages.train"),
        protocol_file,
        FACES,
        paths.REPEATS,
        of("cnn6_7", paths.FRAMES),
    output:
        of("cnn6_7", paths.MODEL, 2),
        of("cnn6_7", paths.CURVE, 2),
        of("cnn6_7", paths.MANIFEST, 2),
    log:
        "logs/train/{dataset}-{recipe}-cnn6_7-2-{balance}-{loss}-{seed}.log",
    priority: 2
    conda:
        "../environment.yaml"
    threads: training_threads
    resources:
        **needs(training_work("cnn7"), memory=4000, gpu=GPUS),
    params:
        network="cnn6_7",
        science=science(
            "recipes.{recipe}.cnn7",
            "loss.{loss}",
            "augmentation.cnn7",
            "context",
        ),
    shell:
        "exec python -m stages.train --dataset {wildcards.dataset}"
        " --recipe {wildcards.recipe} --network {params.network} --stage 2"
        " --balance {wildcards.balance} --loss {wildcards.loss} --seed {wildcards.seed}"
