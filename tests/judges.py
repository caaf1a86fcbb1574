"""A judge on the small phantom, as several tests set it up."""

import csv

from configs import judge_quickstart

FRACTIONS = (0.4, 0.2, 0.4)


def config_of(folder, generator=None, **parts):
    config = judge_quickstart.get_config("runlocal")
    config.data.prepared_dir = str(folder / "prepared")
    config.data.prepare.fractions = FRACTIONS
    config.data.phantom.patients = 5
    config.generator = str(generator or "")
    config.metrics.names = ("dice", "sensitivity")
    for key, value in parts.items():
        config[key] = value
    return config


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
