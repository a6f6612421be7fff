# Raw data to balanced training faces (Section 5).


rule download:
    input:
        code_files("stages.download"),
        protocol_file,
        "wingloss/synthetic/face_model.json",
    output:
        directory(layout.RAW),
    log:
        "logs/download/{dataset}.log",
    conda:
        "../environment.yaml"
    threads: workflow.cores
    resources:
        work=30,
    params:
        science=science("raw.{dataset}"),
    shell:
        "exec python -m stages.download --dataset {wildcards.dataset}"


rule prepare:
    input:
        code_files("stages.prepare"),
        protocol_file,
        raw=layout.RAW,
    output:
        layout.SAMPLES,
        layout.STAMP,
        expand(layout.CROPS, split=layout.SPLITS, allow_missing=True),
    log:
        "logs/prepare/{dataset}.log",
    conda:
        "../environment.yaml"
    threads: workflow.cores
    resources:
        work=8,
    params:
        science=science(
            "raw.{dataset}",
            "dataset.{dataset}.box",
            "dataset.{dataset}.validation",
            "on_bad_sample",
            "context",
        ),
    shell:
        "exec python -m stages.prepare --dataset {wildcards.dataset}"


rule pose:
    input:
        code_files("stages.pose"),
        protocol_file,
        layout.SAMPLES,
    output:
        layout.POSE,
        layout.COEFFICIENTS,
    log:
        "logs/pose/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        work=4,
    shell:
        "exec python -m stages.pose --dataset {wildcards.dataset}"


rule balance:
    input:
        code_files("stages.balance"),
        protocol_file,
        layout.COEFFICIENTS,
    output:
        expand(layout.REPEATS, balance=layout.BALANCES, allow_missing=True),
        layout.HISTOGRAM,
    log:
        "logs/balance/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        work=3,
    params:
        science=science("dataset.{dataset}.bins"),
    shell:
        "exec python -m stages.balance --dataset {wildcards.dataset}"
