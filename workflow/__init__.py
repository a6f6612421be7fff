"""The engines' side: what runs beside Snakemake and DVC, never inside a stage."""
