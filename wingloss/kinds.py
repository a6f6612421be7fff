"""The names of the losses.

Apart from their formulas in ``wingloss/losses.py``, because parameters are checked without torch,
and because no result depends on which other losses there are.
"""

from typing import Literal

LossKind = Literal["l2", "l1", "smooth_l1", "wing"]
