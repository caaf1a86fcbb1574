"""Fuzzes a reader, led by the coverage of its code: needs `pip install atheris`.

    cd tests/promises; python coverage_guided.py KIND -atheris_runs=100000

KIND is one of `readers.kinds()`. It ends with an error, and leaves the file that was
to blame, if something else comes of one than an image that can be used or a
`DataError`.
"""

from pathlib import Path
import sys
import tempfile

import atheris

with atheris.instrument_imports(
    include=["jaxsyn", "nibabel", "zipfile", "pickletools"]
):
    import readers


def main(name: str) -> None:
    """Starts from the valid file."""
    kind, folder = readers.kinds()[name], Path(tempfile.mkdtemp())
    corpus = folder / "corpus"
    corpus.mkdir()
    (corpus / "valid").write_bytes(kind.content)
    counts = {True: 0, False: 0}

    def attempt(content):
        counts[kind.read(folder, content)] += 1
        if sum(counts.values()) % 10_000 == 0:
            print(f"{name}: {counts[True]} accepted, {counts[False]} refused")

    atheris.Setup([*sys.argv[:1], *sys.argv[2:], str(corpus)], attempt)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1])
