"""Writes the JSON schema of ``params.yaml`` for editors and for Snakemake."""

from pathlib import Path

from pipeline.config.params import Params
from pipeline.files import write_json
from pipeline.runtime import cli
from wingloss.validation import schema

SCHEMA = Path("workflow/schemas/params.schema.json")


def run() -> None:
    """Writes workflow/schemas/params.schema.json from the model in pipeline/config/params.py."""
    write_json(SCHEMA, schema(Params))


if __name__ == "__main__":
    cli.main(run)
