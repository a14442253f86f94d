"""Python's garbage collector and thousands of jobs: what lives long is taken out of its sight.

A full collection visits every object that there is and holds up the whole process meanwhile: 50 to 90 ms at 10,000
jobs, again and again. Facts about jobs have no cycles, so they are freed without a collector.
"""

from __future__ import annotations

import gc


def freeze_long_lived() -> None:
    """Collect once, and never look again at what is left; called when a new cluster is in force."""
    gc.collect()
    gc.freeze()
