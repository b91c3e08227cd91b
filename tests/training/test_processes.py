import pytest

from delineate.training import TrainingSettings
from delineate.training.processes import Launch, as_launched, find_launch, name_ranks, unused_tasks
from delineate.values import InputError

TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
SLURM = {
    "SLURM_JOB_ID": "70123",
    "SLURM_NTASKS": "4",
    "SLURM_NNODES": "2",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_NODELIST": "gpu[07,09]",
}


@pytest.fixture(autouse=True)
def _no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SLURM, "SLURM_STEP_NUM_TASKS", "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken back
        monkeypatch.delenv(name)


def launched(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def settings(**values: int) -> TrainingSettings:
    return TrainingSettings(model="unet", data="data", **values)


@pytest.mark.parametrize(("variables", "launcher"), [(TORCHRUN, "torchrun"), (SLURM, "SLURM")])
def test_launchers_say_how_many_train_together(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], launcher: str
) -> None:
    launched(monkeypatch, **variables)
    assert find_launch() == Launch(launcher, devices=2, num_nodes=2)
    assert [as_launched(settings()).devices, as_launched(settings(devices=2)).num_nodes] == [2, 2]
    with pytest.raises(InputError, match=f"devices: 3, but {launcher} started processes for 2; leave it out"):
        as_launched(settings(devices=3))


def test_alone_the_settings_hold() -> None:
    assert find_launch() is None
    assert [as_launched(settings()).devices, as_launched(settings(devices=2)).devices] == [1, 2]


def test_ranks_of_slurm_are_named_as_fabric_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    launched(monkeypatch, **SLURM)
    name_ranks()
    assert {name: os.environ[name] for name in ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")} == {
        "LOCAL_RANK": "1",
        "NODE_RANK": "1",
        "MASTER_ADDR": "gpu07",
        "MASTER_PORT": "15123",
    }


@pytest.mark.parametrize(
    "variables", [{"SLURM_JOB_NAME": "bash"}, {"SLURM_JOB_NAME": "interactive"}, {"ENVIRONMENT": "BATCH"}]
)
def test_a_shell_or_a_script_of_slurm_waits_for_nobody(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    launched(monkeypatch, **SLURM, **variables)
    assert find_launch() is None
    assert "the job has 4 tasks, and one process trains" in unused_tasks(as_launched(settings()))[0]


def test_a_task_that_is_alone_may_start_others(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, **SLURM, SLURM_STEP_NUM_TASKS="1")
    assert as_launched(settings(devices=4)).devices == 4
    assert unused_tasks(settings(devices=4)) == []


def test_machines_with_other_numbers_of_tasks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    launched(monkeypatch, **{**SLURM, "SLURM_NTASKS": "3"})
    with pytest.raises(InputError, match="SLURM started 3 processes on 2 machines; start as many on each"):
        find_launch()
