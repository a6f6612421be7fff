"""Writes the JSON schema of ``params.yaml`` for editors and for Snakemake."""

from pathlib import Path

from stages import command
from stages.files import write_json
from stages.params import Params
from stages.typed import schema

SCHEMA = Path("workflow/schemas/params.schema.json")


def run() -> None:
    """Writes workflow/schemas/params.schema.json from the typed model in stages/params.py."""
    write_json(
        SCHEMA,
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema(Params),
    )


if __name__ == "__main__":
    command.main(run)
