import subprocess
import sys

CODE = """
import resource
import numpy as np
from jaxsyn.engine import host_memory
if {keep}:
    assert host_memory.keep_freed_memory()
def use():
    for _ in range(50):
        np.ones(8_000_000)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(keep: bool) -> int:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(keep=keep)], capture_output=True, check=True
    )
    return int(done.stdout)


def test_freed_memory_is_not_asked_for_again():
    # 50 arrays of 64 MB: without it, their pages are handed out anew each time.
    assert page_faults(True) < page_faults(False) / 10
