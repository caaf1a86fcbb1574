"""Whatever is in a file, it is read as what it is or refused with a `DataError`.

`JAXSYN_FUZZ` says how many files of each kind are tried:

    JAXSYN_FUZZ=10000 pytest -s tests/promises/fuzz_test.py
"""

import os
import resource
import struct

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
import pytest

import readers

COUNT = int(os.environ.get("JAXSYN_FUZZ", "200"))
KINDS = readers.kinds()
MOST_KILOBYTES = 300_000  # More memory than before, in all.
TELLING = [
    *(struct.pack(f"<{c}", v) for c in "hif" for v in (0, 1, -1, 127, -128, 32767)),
    *(struct.pack("<i", v) for v in (2**31 - 1, -(2**31), 2**30)),
    *(struct.pack("<f", v) for v in (float("nan"), float("inf"), 1e38, -1e-38)),
    *(b"\x00" * 8, b"\xff" * 8, b"\n", b" = ", b"999999999", b"-1", b"nan", b"../x"),
]
PIECES = st.one_of(st.binary(min_size=1, max_size=8), st.sampled_from(TELLING))
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "replace", "insert", "drop", "cut", "repeat"]),
        st.floats(0.0, 1.0, exclude_max=True),
        PIECES,
    ),
    min_size=1,
    max_size=4,
)


def changed(content, edits):
    """Content after each edit: what, where as a share of its length, and with what."""
    for what, place, piece in edits:
        at = int(place * len(content))
        before, after = content[:at], content[at:]
        content = {
            "replace": before + piece + after[len(piece) :],
            "insert": before + piece + after,
            "drop": before + after[len(piece) :],
            "cut": before,
            "repeat": before + 8 * after[: len(piece)] + after,
        }[what]
    return content


@pytest.mark.parametrize("kind", KINDS)
def test_the_unchanged_file_is_read(kind, tmp_path):
    assert KINDS[kind].read(tmp_path, KINDS[kind].content)


@pytest.mark.parametrize("kind", KINDS)
def test_changed_files_are_read_or_refused(kind, tmp_path, record_property):
    counts = {True: 0, False: 0}

    @settings(
        max_examples=COUNT,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(EDITS)
    def attempt(edits):
        content = changed(KINDS[kind].content, edits)
        counts[KINDS[kind].read(tmp_path, content)] += 1

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attempt()
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert more < MOST_KILOBYTES
    assert counts[False] > COUNT / 20  # Or the changes change nothing.
    record_property("attempts", sum(counts.values()))
    print(f"{kind}: {sum(counts.values())} files, {counts[False]} refused, 0 failures")
