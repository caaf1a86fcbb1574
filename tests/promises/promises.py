"""What users are promised, and the tests that attack it.

    python tests/promises/promises.py [arguments of pytest]

runs them, the long ones too, and prints how often each promise was put to the test and
how often it did not hold. `JAXSYN_KILLS=20` and `JAXSYN_FUZZ=10000` say how long the
random ones go on.
"""

from collections import Counter
import os
from pathlib import Path
import sys

import pytest

TESTS = Path(__file__).parents[1]
# A test that tries more than once says so: `record_property("attempts", count)`.
PROMISES = {
    "Killed at any moment, a job leaves nothing broken and ends as if undisturbed": (
        "promises/crash_test.py",
        "promises/corruption_test.py::test_a_run_that_is_killed_right_after_a_save_goes_on",
        "data/prepare_test.py::test_a_killed_job_leaves_no_processes_and_is_gone_on_with",
        "experiments/runner_test.py::test_what_another_process_was_killed_at_is_taken_over",
    ),
    "Training in parts is training as a whole, bit for bit": (
        "train_test.py::test_three_and_three_steps_are_six_bit_for_bit",
        "engine/loop_test.py::test_stopped_and_resumed_is_bit_for_bit_undisturbed",
        "systems/systems_test.py::test_what_a_checkpoint_gives_back_goes_on_the_same",
        "systems/pgan_system_test.py::test_stopped_and_resumed_is_bit_for_bit_undisturbed",
    ),
    "Asked to stop, a job saves, ends with 75 and goes on by the same command": (
        "main_test.py::test_a_signal_saves_and_exits_with_75_and_the_command_goes_on",
        "distributed/processes_test.py::test_a_signal_to_one_stops_both_and_both_go_on",
        "experiments/runner_test.py::test_a_request_to_stop_ends_the_run_as_preempted",
        "evaluate/judge_test.py::test_a_stopped_table_goes_on_to_the_same_numbers",
    ),
    "A damaged file is named before it is used, and the last good one offered": (
        "promises/corruption_test.py",
        "synthesis/export_test.py::test_a_changed_byte_of_any_file_is_found_and_named",
        "evaluate/features_test.py::test_a_damaged_memory_is_named_and_not_believed",
    ),
    "Without room, permission or memory that is said, and nothing is lost": (
        "promises/resources_test.py",
        "storage_test.py",
        "engine/loop_test.py::test_a_full_disk_is_said_before_it_is_written_to",
        "data/nifti_test.py::test_a_full_disk_leaves_nothing_half_written",
        "main_test.py::test_a_workdir_that_cannot_be_written",
    ),
    "Two runs in one folder: the second is refused and told of the first": (
        "promises/lock_test.py",
    ),
    "A folder is one configuration's: another is refused, with the difference": (
        "workdir_test.py",
        "main_test.py::test_another_configuration_is_refused_with_the_difference",
        "engine/loop_test.py::test_a_checkpoint_of_other_networks_is_refused",
        "evaluate/judge_test.py::test_a_changed_training_does_not_pass_for_a_finished_one",
        "experiments/runner_test.py::test_a_finished_cell_refuses_another_configuration",
    ),
    "No image is read wrongly, or takes more memory than it is worth": (
        "promises/fuzz_test.py",
        "data/nifti_test.py::test_no_flipped_bit_changes_a_compressed_image_silently",
        "data/nifti_test.py::test_any_flipped_bit_of_a_plain_header_gives_a_volume_or_a_data_error",
        "data/nifti_test.py::test_truncated_files_are_refused",
        "data/nifti_test.py::test_broken_headers_are_refused",
        "data/nifti_test.py::test_bombs_are_refused_at_once_and_in_little_memory",
        "data/metaimage_test.py::test_a_bomb_takes_no_memory",
        "data/metaimage_test.py::test_broken_headers_are_refused",
    ),
    "Nothing that is loaded runs code, and no file leads to another folder": (
        "promises/code_test.py::test_no_file_runs_what_it_loads_or_calls_out",
        "metrics/torch_archive_test.py",
        "synthesis/export_test.py::test_parameters_are_never_unpickled",
        "data/metaimage_test.py::test_only_one_file_beside_is_read",
        "data/table_test.py::test_a_name_may_not_lead_elsewhere",
    ),
    "No job calls anybody": (
        "promises/code_test.py::test_a_training_calls_nobody",
        "promises/code_test.py::test_who_calls_out_is_noticed",
    ),
    "Voxels that are no numbers, constant images and unknown labels are named": (
        "data/nifti_test.py::test_voxels_that_are_no_numbers_are_refused",
        "data/cases_test.py::test_constant_images_are_refused",
        "data/cases_test.py::test_labels_outside_the_table_are_named_with_their_file",
        "data/cases_test.py::test_interpolated_labels_are_refused",
        "data/cases_test.py::test_enhancing_tumour_is_3_or_4_but_not_both",
        "spec_test.py",
    ),
    "Files of a case that do not lie on each other are refused": (
        "data/cases_test.py::test_another_shape_is_refused",
        "data/cases_test.py::test_another_affine_is_refused_beyond_the_tolerance",
        "data/nifti_test.py::test_forms_that_disagree_are_noted",
        "data/nifti_pairs_test.py::test_analyze_is_refused_for_its_orientation",
        "metrics/segmentation_metrics_test.py::test_affines_must_put_voxels_in_the_same_place",
    ),
    "Every case is used or refused with its reason; none is dropped in silence": (
        "data/check_test.py::test_every_case_is_reported_and_the_summary_adds_up",
        "data/prepare_test.py::test_a_bad_case_can_be_left_out",
        "data/prepare_test.py::test_a_set_holds_every_slice_of_every_case",
    ),
    "Nobody is in two parts, and no test patient is behind what trains": (
        "data/splits_test.py",
        "evaluate/judge_test.py::test_a_test_patient_that_the_generator_saw_is_named",
        "evaluate/export_as_synthetic_test.py::test_a_test_patient_behind_it",
        "synthesis/gallery_test.py::test_patients_must_be_new_to_all",
    ),
    "What goes wrong in a training is said, and ends it or is undone": (
        "health_test.py",
        "engine/loop_test.py::test_divergence_names_the_term_and_the_step",
    ),
    "A generator that remembers its patients is found, one that does not passes": (
        "evaluate/audit_test.py",
        "metrics/nearest_test.py::test_copies_are_found_however_changed",
        "metrics/nearest_test.py::test_clean_images_are_rarely_flagged",
        "metrics/memorisation_test.py",
    ),
    "No name of a patient and no path is in what is handed on": (
        "evaluate/audit_test.py::test_no_file_names_a_patient_or_a_path",
        "evaluate/audit_test.py::test_paths_are_hashed",
        "synthesis/export_test.py::test_it_holds_what_generation_needs_and_no_more",
    ),
    "The same seed gives the same result": (
        "engine/loop_test.py::test_the_same_seed_gives_the_same_run_and_another_does_not",
        "train_test.py::test_where_the_slices_are_kept_changes_nothing",
        "data/prepare_test.py::test_workers_make_the_same_set",
        "metrics/quality_test.py::test_the_same_seed_gives_the_same_rows",
        "data/phantom_test.py::test_the_command_gives_the_same_bytes_without_tensorflow_jax_or_network",
    ),
    "Results do not depend on the batch of an evaluation": (
        "synthesis/generator_test.py::test_label_maps_depend_on_seed_and_index_alone",
        "metrics/nearest_test.py::test_chunks_do_not_matter",
    ),
    "Several devices and processes train as one": (
        "systems/systems_test.py::test_one_device_equals_several",
        "engine/step_test.py::test_one_device_equals_four",
        "engine/loop_test.py::test_a_state_split_over_devices_trains_alike",
        "engine/loop_test.py::test_a_checkpoint_is_restored_on_other_devices",
        "synthesis/generator_test.py::test_one_device_makes_what_four_make",
        "distributed/processes_test.py::test_two_processes_train_as_one",
        "distributed/processes_test.py::test_one_goes_on_from_two_and_two_from_one",
    ),
    "A process that is lost ends the others, which say so": (
        "distributed/processes_test.py::test_when_one_is_killed_the_other_says_so_and_ends",
        "distributed/processes_test.py::test_when_one_fails_the_other_ends_too",
        "data/check_test.py::test_a_killed_process_is_an_error_not_a_hang",
        "data/prepare_test.py::test_a_worker_that_dies_is_reported",
    ),
    "Metrics are those of their references": (
        "metrics/segmentation_golden_test.py",
        "metrics/inception_test.py",
        "metrics/statistics_test.py",
        "data/nifti_test.py::test_reads_real_cases_as_nibabel_does",
    ),
    "What is finished is not made again, and nobody's files are overwritten": (
        "main_test.py::test_a_finished_run_has_nothing_left_to_do",
        "synthesis/synthesize_test.py::test_a_second_call_makes_what_is_missing_alone",
        "synthesis/synthesize_test.py::test_a_folder_with_something_else_in_it",
        "evaluate/judge_test.py::test_a_finished_table_trains_nothing",
    ),
    "Synthetic cases lie on their patients' grids and can be read by others": (
        "data/nifti_test.py::test_nibabel_reads_what_is_written",
        "synthesis/synthesize_test.py::test_patients_label_maps_come_back_on_their_own_grid",
        "synthesis/synthesize_test.py::test_generated_slices_go_to_nnunet_with_the_real_cases",
    ),
    "An exported generator draws what the generator draws, without jaxsyn": (
        "synthesis/export_test.py::test_it_runs_where_jaxsyn_is_not_installed",
    ),
    "What an earlier version left is read": ("promises/upgrade_test.py",),
    "What can be mended is told in a line and a hint, with a code": (
        "main_test.py::test_what_is_wrong_is_said_in_a_line_and_a_hint",
        "data/check_test.py::test_errors_are_one_line_and_a_hint",
    ),
}


class Count:
    """Counts how often each promise was tried and broken, as a plugin of pytest."""

    def __init__(self):
        self.attempts, self.failures, self.skipped = Counter(), Counter(), Counter()

    def pytest_runtest_logreport(self, report):
        """Counts a test that was run, in this process or another."""
        tried = dict(report.user_properties).get("attempts", 1)
        for promise, tests in PROMISES.items():
            if not any(belongs(report.nodeid, test) for test in tests):
                continue
            self.failures[promise] += report.failed
            self.skipped[promise] += report.skipped
            if report.when == "call" and not report.skipped:
                self.attempts[promise] += tried

    def table(self) -> str:
        """The promises in Markdown."""
        lines = ["| promise | attempts | failures | not run |", "|---|---|---|---|"]
        for name in PROMISES:
            counts = self.attempts[name], self.failures[name], self.skipped[name]
            lines.append(f"| {name} | " + " | ".join(f"{n:,}" for n in counts) + " |")
        return "\n".join(lines)


def belongs(node: str, test: str) -> bool:
    """Whether a test that was run is one of a promise's, or in its file."""
    node = node.removeprefix("tests/").split("[")[0]
    return node == test or node.split("::")[0] == test


def main(arguments: list[str]) -> int:
    """Runs all of them and prints the table; returns pytest's code."""
    os.chdir(TESTS.parent)
    counted = Count()
    tests = dict.fromkeys(f"tests/{t}" for tests in PROMISES.values() for t in tests)
    chosen = ["-m", "slow or not slow", *arguments, *tests]
    code = pytest.main(chosen, plugins=[counted])
    print(counted.table())
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
