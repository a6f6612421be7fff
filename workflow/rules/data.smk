# Raw data to balanced training faces (Section 5).


rule download:
    input:
        code_files("stages.download"),
        protocol_file,
        "wingloss/synthetic/face_model.json",
    output:
        directory(paths.RAW),
    log:
        "logs/download/{dataset}.log",
    conda:
        "../environment.yaml"
    threads: workflow.cores
    resources:
        **needs(download_work),
    params:
        science=science("raw.{dataset}"),
    shell:
        "exec python -m stages.download --dataset {wildcards.dataset}"


rule prepare:
    input:
        code_files("stages.prepare"),
        protocol_file,
        raw=paths.RAW,
    output:
        paths.SAMPLES,
        paths.STAMP,
        expand(paths.CROPS, split=paths.SPLITS, allow_missing=True),
    log:
        "logs/prepare/{dataset}.log",
    conda:
        "../environment.yaml"
    threads: workflow.cores
    resources:
        **needs(prepare_work),
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
        paths.SAMPLES,
    output:
        paths.POSE,
        paths.COEFFICIENTS,
    log:
        "logs/pose/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(4),
    shell:
        "exec python -m stages.pose --dataset {wildcards.dataset}"


rule balance:
    input:
        code_files("stages.balance"),
        protocol_file,
        paths.COEFFICIENTS,
    output:
        expand(paths.REPEATS, balance=paths.BALANCES, allow_missing=True),
        paths.HISTOGRAM,
    log:
        "logs/balance/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(3),
    params:
        science=science("dataset.{dataset}.bins"),
    shell:
        "exec python -m stages.balance --dataset {wildcards.dataset}"
