"""Whether a generator and a data set may be used together."""

from collections.abc import Sequence

from jaxsyn.data.prepared import PreparedSet
from jaxsyn.data.splits import slice_name
from jaxsyn.errors import DataError, UsageError
from jaxsyn.synthesis.generator import Generator

FIELDS = ("image_size", "modalities", "label_names")


def check_fits(
    generator: Generator, prepared: PreparedSet, fields: Sequence[str] = FIELDS
) -> None:
    """Raises UsageError if what a generator makes cannot stand beside a set.

    Args:
      generator: Of images, or of label maps.
      prepared: The set.
      fields: Of their specs, which have to be equal.
    """
    for field in fields:
        ours = getattr(prepared.spec, field)
        theirs = getattr(generator.spec, field)
        if ours != theirs:
            raise UsageError(
                f"The generator's {field} is {theirs}, that of the data is {ours}.",
                hint="Prepare the data as the generator's were: config.data.source and"
                " config.data.prepare.",
            )


def check_no_leak(generator: Generator, prepared: PreparedSet) -> None:
    """Raises DataError if a test patient was seen when the generator was trained."""
    unit, names = generator.trained_on["unit"], set(generator.trained_on["names"])
    test = set(prepared.split.parts["test"])
    if (unit, prepared.split.unit) != ("slice", "slice"):
        # Whole patients count as seen or as tested if any of their slices is.
        patients = {
            slice_name(case, index): prepared.cases[case].patient
            for case in prepared.cases
            for index in prepared.cases[case].kept
        }
        names = {patients.get(name, name) for name in names}
        test = {patients.get(name, name) for name in test}
    if seen := sorted(names & test):
        raise DataError(
            f"{len(seen)} of the judge's test {prepared.split.unit}s were among those"
            f" the generator was trained on: {', '.join(seen[:10])}.",
            hint="Use the division the generator was trained with:"
            " config.data.prepare.split_file=PREPARED/split.json, or its split_seed"
            " and fractions.",
        )


def tested_patients(prepared: PreparedSet) -> set[str]:
    """The patients of whom a set's test part holds slices."""
    return {prepared.cases[case].patient for case, _ in prepared.cache("test").rows}
