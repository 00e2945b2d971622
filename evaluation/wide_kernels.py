"""Which instructions OpenBLAS multiplies with: the widest that the processor has, also where it does not see them.

numpy's and scipy's wheels bring an OpenBLAS that takes the newest AMD processors (Zen 5, with OpenBLAS 0.3.27 and
0.3.30) for ones without AVX-512: products then take twice the time, 40 ms instead of 20 for 1,000 x 2,048 by
2,048 x 1,000 float32. Its own variable says which instructions to use, and is read when numpy is loaded.
"""

import os
import sys
from pathlib import Path

_VARIABLE = "OPENBLAS_CORETYPE"
# What OpenBLAS calls its AVX-512 code, and the parts of AVX-512 which that needs.
_WIDE = "SkylakeX"
_NEEDED = {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}


def prefer_wide_kernels(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Have OpenBLAS use AVX-512 on an AMD processor that has it; whether that was done.

    It is not done where numpy is loaded already, where somebody has chosen by the variable, and on other systems than
    Linux. Sums come out in another order, and so differ in their last digits, as between any two processors.
    """
    if "numpy" in sys.modules or _VARIABLE in os.environ or not cpuinfo.is_file():
        return False
    lines = cpuinfo.read_text(errors="replace").splitlines()
    about = {name.strip(): value for name, _, value in (line.partition(":") for line in lines)}
    if "AMD" not in about.get("vendor_id", "") or not set(about.get("flags", "").split()) >= _NEEDED:
        return False
    os.environ[_VARIABLE] = _WIDE
    return True
