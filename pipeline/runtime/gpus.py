"""Several GPUs, shared out among trainings that run at the same time."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import torch

from pipeline.runtime.file_lock import claimed


@contextmanager
def one_alone(locks: Path) -> Iterator[None]:
    """Has torch use a GPU that no other training here uses, until the block ends.

    ``locks`` is the folder of a lock's file for each GPU; the operating system takes the lock from
    a process that dies. With one GPU, and where all are taken, it is torch's own choice.
    """
    count = torch.cuda.device_count()
    with ExitStack() as stack:
        for index in range(count) if count > 1 else ():
            if file := claimed(locks / f"gpu{index}.lock"):
                stack.enter_context(file)
                torch.cuda.set_device(index)
                break
        yield
