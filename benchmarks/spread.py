"""How far the default runs' errors differ between processors.

``python -m benchmarks.spread SUMMARY OTHER...`` writes docs/results/default.json, with which
``make reproduce`` compares: the errors in the first summary.csv, and how far those in the others,
made on other processors with the same parameters, are from them at most, in percentage points.

Other processors can be emulated on one that has more: ``ONEDNN_MAX_CPU_ISA=AVX512_CORE`` before
``snakemake``, or ``ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2`` and, since a processor
without bfloat16 trains in float32, ``precision: float32`` in params.yaml.
"""

from pathlib import Path

from benchmarks import arguments
from pipeline import files
from pipeline.config.params import load
from workflow.compare import REFERENCE, errors, settings


def main(first: Path, others: list[Path]) -> None:
    reference, elsewhere = errors(first), [errors(path) for path in others]
    runs = {
        name: {
            "nme": nme,
            "spread": round(max((abs(one[name] - nme) for one in elsewhere), default=0.0), 2),
        }
        for name, nme in reference.items()
    }
    files.write_json(REFERENCE, {"settings": settings(load(), runs), "runs": runs})


if __name__ == "__main__":
    first, *others = map(Path, arguments(__doc__))
    main(first, others)
