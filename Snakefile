# The reproduction as a graph: `snakemake --cores all` makes everything that params.yaml asks for.

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, validate

from snakemake_logger_plugin_wingloss import announce_work

min_version("9.0")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"  # checks the parameters, so it comes before the next line


configfile: "params.yaml"


include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/paper.smk"


refuse_overrides(config)
try:
    validate(config, "workflow/schemas/params.schema.json", set_default=False)
except WorkflowError:  # common.smk has found no fault in params.yaml
    sys.exit(
        "error: workflow/schemas/params.schema.json is of other code; run 'python -m commands.schema'"
    )


onstart:
    # Held until this process ends, however it ends. Snakemake's own locks outlive it when it is
    # killed, and DVC doesn't know them, so the profile switches them off.
    alone()
    for dataset in PARAMS.datasets:
        if stale := origin.changed(dataset):
            logger.warning(f"warning: {stale}")
    announce_work(workflow.dag)
    # Snakemake would look at all jobs that are ready once a second for each job that has finished:
    # after 63 of them it took 30 % of a core. It has nothing to wait for on one machine.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


rule all:
    default_target: True
    input:
        expand(paths.SUMMARY, dataset=PARAMS.datasets),
        expand(paths.METRICS, dataset=PARAMS.datasets),
        expand(paths.HISTOGRAM, dataset=PARAMS.datasets),
        expand(paths.TABLE, dataset=PARAMS.datasets, table=PARAMS.tables),
        expand(paths.FIGURE, dataset=PARAMS.datasets, figure=PARAMS.figures),
        expand(paths.STUDY, dataset=PARAMS.datasets, study=PARAMS.studies),
        expand(paths.CLAIMS, dataset=PARAMS.datasets),
        expand(paths.REPORT, dataset=PARAMS.datasets),
        expand(paths.DETECTORS, dataset=PARAMS.datasets),
        [file for run in SCORED for file in paths.outputs(run)],
