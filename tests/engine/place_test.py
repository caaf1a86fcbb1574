import pytest

from jaxsyn.engine import place
from jaxsyn.errors import UsageError

TOLD = {
    "JAX_COORDINATOR_ADDRESS": "host:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}


@pytest.fixture
def find(monkeypatch):
    """Finds the place where these variables are set."""

    def find(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return place.find()

    return find


@pytest.mark.parametrize(
    "variables",
    [
        {},
        TOLD | {"JAX_NUM_PROCESSES": "1", "JAX_PROCESS_ID": "0"},
        {"SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
        {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "7"},  # Of the batch script, not a step.
    ],
)
def test_a_process_alone_has_none(variables, find):
    assert find(variables) is None


def test_what_is_told_counts_also_inside_a_slurm_step(find):
    found = find({**TOLD, "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"})
    assert found["coordinator_address"] == "host:1234"
    assert (found["num_processes"], found["process_id"]) == (2, 1)
    assert found["cluster_detection_method"] == "deactivate"


@pytest.mark.parametrize(("nodes", "devices"), [("2", [0, 1, 2, 3]), ("1", None)])
def test_a_slurm_task_alone_on_its_node_has_all_its_gpus(nodes, devices, find):
    variables = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": nodes}
    variables |= {"SLURM_PROCID": "1", "SLURM_GPUS_ON_NODE": "4"}
    assert find(variables) == {
        "num_processes": 2,
        "process_id": 1,
        "local_device_ids": devices,
        "cluster_detection_method": "slurm",
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"JAX_PROCESS_ID": ""}, "JAX_PROCESS_ID is not set"),
        ({"JAX_PROCESS_ID": "2"}, "No place among processes: .*JAX_PROCESS_ID=2"),
        ({"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES=two"),
        ({"JAX_COORDINATOR_ADDRESS": "host"}, "JAX_COORDINATOR_ADDRESS=host,"),
    ],
)
def test_variables_that_make_no_sense(changed, message, find):
    with pytest.raises(UsageError, match=message):
        find({**TOLD, **changed})
