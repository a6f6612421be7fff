"""What a training computes. It needs torch and nothing of the pipeline."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def training_flops(network: nn.Module, size: int) -> int:
    """Floating-point operations of one sample's forward and backward pass, the layers' alone.

    ``size`` is the input's side in pixels. A multiplication and an addition count as two; the first
    layer has no gradient by its inputs.
    """
    pictures = torch.zeros(1, 3, size, size, device=next(network.parameters()).device)
    with FlopCounterMode(display=False) as counter:
        network(pictures).sum().backward()
    return counter.get_total_flops()
