# The paper's tables, claims and figures, from the predictions of the runs that each is about, and the
# page on all of them.


# A timing: it gets all cores, so that it runs alone, and is made again only if what it times changes.
rule speed:
    input:
        code_files("stages.speed"),
        protocol_file,
    output:
        paths.SPEED,
    log:
        "logs/speed/{dataset}.log",
    conda:
        "../environment.yaml"
    threads: workflow.cores
    resources:
        **needs(18, gpu=GPUS),
    shell:
        "exec python -m stages.speed --dataset {wildcards.dataset}"


rule table:
    input:
        code_files("stages.table"),
        protocol_file,
        paper_spec.TABLES,
        paper_spec.STUDIES,
        what_a_table_shows,
    output:
        report(paths.TABLE, caption="../report/table.rst", category="Tables"),
        paths.TABLE_TEXT,
    log:
        "logs/table/{dataset}-table{table}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(4),
    params:
        science=science("recipes", "runs", "loss", "baselines", "seeds", "studies"),
    shell:
        "exec python -m stages.table --dataset {wildcards.dataset} --table {wildcards.table}"


rule claims:
    input:
        code_files("stages.claims"),
        protocol_file,
        paper_spec.CLAIMS,
        paper_spec.TABLES,
        paper_spec.STUDIES,
        paths.SPEED,
        all_predictions,
    output:
        report(paths.CLAIMS, caption="../report/claims.rst", category="Verdicts"),
        paths.VERDICTS,
    log:
        "logs/claims/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(6),
    params:
        science=science("recipes", "runs", "baselines", "seeds", "studies", "loss"),
    shell:
        "exec python -m stages.claims --dataset {wildcards.dataset}"


rule figure:
    input:
        code_files("stages.figure"),
        protocol_file,
        what_a_figure_shows,
    output:
        report(paths.FIGURE, caption="../report/figure.rst", category="Figures"),
        paths.FIGURE_PIXELS,
    log:
        "logs/figure/{dataset}-figure{figure}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(5),
    params:
        science=science("runs", "baselines", "seeds"),
    shell:
        "exec python -m stages.figure --dataset {wildcards.dataset} --figure {wildcards.figure}"


rule study:
    input:
        code_files("stages.study"),
        protocol_file,
        paper_spec.STUDIES,
        paper_spec.CLAIMS,
        what_a_study_shows,
    output:
        report(paths.STUDY, caption="../report/study.rst", category="Studies"),
        paths.STUDY_TEXT,
        report(paths.STUDY_FIGURE, caption="../report/study.rst", category="Studies"),
    log:
        "logs/study/{dataset}-{study}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(5),
    params:
        science=science("recipes", "runs", "seeds"),
    shell:
        "exec python -m stages.study --dataset {wildcards.dataset} --study {wildcards.study}"


rule report_page:
    input:
        code_files("stages.report"),
        protocol_file,
        "stages/report.html.j2",
        "docs/deviations.md",
        paper_spec.TABLES,
        paper_spec.CLAIMS,
        paper_spec.STUDIES,
        paths.SAMPLES,
        expand(paths.CROPS, split=["val", "test"], allow_missing=True),
        paths.SPEED,
        all_tables,
        all_figures,
        paths.CLAIMS,
        paths.VERDICTS,
        all_predictions,
    output:
        report(paths.REPORT, caption="../report/report.rst", category="Report"),
    log:
        "logs/report/{dataset}.log",
    conda:
        "../environment.yaml"
    resources:
        **needs(4),
    params:
        science=science(
            "raw.{dataset}",
            "context",
            "recipes",
            "runs",
            "baselines",
            "seeds",
            "tables",
            "figures",
            "studies",
            "loss",
        ),
    shell:
        "exec python -m stages.report --dataset {wildcards.dataset}"


# `snakemake --cores all table3 figure4` makes these, of every data set.
for number in TABLES:

    rule:
        name:
            f"table{number}"
        input:
            expand(paths.TABLE, dataset=PARAMS.datasets, table=number),


for number in paper_spec.FIGURES:

    rule:
        name:
            f"figure{number}"
        input:
            expand(paths.FIGURE, dataset=PARAMS.datasets, figure=number),


for name in STUDIES:

    rule:
        name:
            f"study_{name}"
        input:
            asked_study(name),
