"""`mignificient devices` and `mignificient mig` against the fake NVML, and functions on the partitions that they make."""
import fcntl
import json

import pytest

import node as node_module
from node import EXAMPLES, mignificient

CONFIGS = """
version: v1
mig-configs:
  halves:
    - devices: all
      mig-enabled: true
      mig-devices:
        "3g.40gb": 2
  mixed:
    - devices: [0]
      mig-enabled: true
      mig-devices:
        "1g.10gb": 2
        "2g.20gb": 1
        "3g.40gb": 1
    - devices: [1]
      mig-enabled: false
  too-much:
    - devices: all
      mig-enabled: true
      mig-devices:
        "4g.40gb": 2
  off:
    - devices: all
      mig-enabled: false
"""


class Gpus:
    """Fake GPUs in a file, and commands that see them."""

    def __init__(self, folder, description):
        self.file, self.configs = folder / "gpus.json", folder / "configs.yaml"
        self.file.write_text(json.dumps(description))
        self.configs.write_text(CONFIGS)

    @property
    def nvml(self):
        return f"fake:{self.file}"

    def state(self):
        return json.loads(self.file.read_text())

    def change(self, **fields):
        self.file.write_text(json.dumps({**self.state(), **fields}))

    def run(self, *arguments, **options):
        return mignificient(*arguments, env={"MIGNIFICIENT_NVML": self.nvml, **options.pop("env", {})}, **options)

    def mig(self, command, config=None, *arguments, address="unix:/no/such/socket"):
        named = ["-f", self.configs, "-c", config] if config else []
        node = ["--address", address] if command == "apply" else []
        return self.run("mig", command, *named, *node, *arguments)

    def apply(self, config, *arguments, **options):
        return self.mig("apply", config, *arguments, **options)


@pytest.fixture
def gpus(tmp_path):
    return Gpus(tmp_path, {"gpus": [{}, {}]})


def ok(result):
    assert result.returncode == 0, result.stderr
    return result


def devices(gpus):
    return json.loads(ok(gpus.run("devices", "--json")).stdout)["gpus"]


def test_devices_as_json_have_every_field(gpus):
    ok(gpus.apply("mixed"))
    first, second = devices(gpus)
    assert first["mig_mode"] == {"current": "enabled", "pending": "enabled"}
    assert second["mig_mode"] == {"current": "disabled", "pending": "disabled"}
    assert (first["index"], first["name"], first["memory"]) == (0, "NVIDIA H100 80GB HBM3", 81559)
    assert (first["driver_version"], first["compute_capability"]) == ("580.159.04", "9.0")
    assert first["pci_bus_id"] == "00000000:0A:00.0"
    three, = [i for i in first["instances"] if i["instance_size"] == "3g.40gb"]
    assert three["uuid"].startswith("MIG-")
    assert (three["mig_size"], three["memory"], three["compute_units"]) == ("3g", 40448, 60)
    assert (three["gpu_instance_id"], three["compute_instance_id"]) == (1, 0)
    assert three["placement"]["size"] == 4
    assert second["instances"] == []


def test_devices_as_a_table_for_people(gpus):
    ok(gpus.apply("mixed"))
    table = ok(gpus.run("devices", "--table")).stdout
    assert "MIG MODE" in table and "disabled" in table
    assert table.count("1g.10gb") == 2
    assert devices(gpus)[0]["instances"][0]["uuid"] in table


def test_a_gpu_without_instances_in_mig_mode_is_shown_and_explained(tmp_path):
    gpus = Gpus(tmp_path, {"gpus": [{"mig": True}]})
    assert "nothing can run on it" in ok(gpus.run("devices", "--table")).stdout


def test_apply_assert_and_export_agree(gpus):
    assert gpus.mig("assert", "mixed").returncode == 1
    ok(gpus.apply("mixed"))
    ok(gpus.mig("assert", "mixed"))
    exported = ok(gpus.mig("export")).stdout
    ok(gpus.apply("off"))
    assert gpus.mig("assert", "mixed").returncode == 1
    gpus.configs.write_text(exported)
    ok(gpus.apply("current"))
    gpus.configs.write_text(CONFIGS)
    ok(gpus.mig("assert", "mixed"))


def test_export_is_read_by_a_yaml_parser_and_as_json(gpus):
    yaml = pytest.importorskip("yaml")
    ok(gpus.apply("mixed"))
    exported = yaml.safe_load(ok(gpus.mig("export")).stdout)
    assert exported == {"version": "v1", "mig-configs": {"current": [
        {"devices": [0], "mig-enabled": True, "mig-devices": {"1g.10gb": 2, "2g.20gb": 1, "3g.40gb": 1}},
        {"devices": [1], "mig-enabled": False, "mig-devices": {}}]}}
    assert json.loads(ok(gpus.mig("export", None, "--json")).stdout) == exported


def test_applying_again_changes_nothing(gpus):
    ok(gpus.apply("halves"))
    before = gpus.state()
    assert "nothing is changed" in ok(gpus.apply("halves")).stdout
    assert gpus.state() == before


def test_what_does_not_fit_changes_nothing_and_says_why(gpus):
    ok(gpus.apply("halves"))
    before = gpus.state()
    result = gpus.apply("too-much")
    assert result.returncode == 4
    assert "Of profile 4g.40gb 2 instances are wanted; at most 1 fit on the GPU." in result.stderr
    assert "Nothing is changed." in result.stderr
    assert gpus.state() == before


def test_a_dry_run_says_what_would_be_done(gpus):
    before = devices(gpus)
    result = ok(gpus.apply("halves", "--dry-run"))
    assert "GPU 0: switch MIG mode on" in result.stdout and "GPU 1: create 3g.40gb at 4" in result.stdout
    assert devices(gpus) == before


def test_a_mode_that_needs_a_reset_is_said_plainly(tmp_path):
    gpus = Gpus(tmp_path, {"gpus": [{"mode_needs_reset": True}]})
    result = gpus.apply("halves")
    assert result.returncode == 4
    assert "MIG mode on is pending until the GPU is reset" in result.stderr
    assert devices(gpus)[0]["mig_mode"] == {"current": "disabled", "pending": "enabled"}


def test_what_only_turns_out_not_to_fit_in_mig_mode_leaves_the_mode_off(tmp_path):
    gpus = Gpus(tmp_path, {"gpus": [{"profiles_need_mig": True}]})
    result = gpus.apply("too-much")
    assert result.returncode == 4
    assert "at most 1 fit on the GPU" in result.stderr and "is undone" in result.stderr
    assert devices(gpus)[0]["mig_mode"] == {"current": "disabled", "pending": "disabled"}


def test_a_running_process_is_in_the_way(gpus):
    ok(gpus.apply("halves"))
    state = gpus.state()
    state["gpus"][1]["processes"] = [{"pid": 4711, "gpu_instance": 1, "compute_instance": 0}]
    gpus.change(**state)
    result = gpus.apply("mixed")
    assert result.returncode == 4
    assert "Process 4711 runs on GPU 1." in result.stderr
    assert gpus.state()["gpus"][0]["instances"] == state["gpus"][0]["instances"]


def test_one_process_at_a_time_partitions_gpus(gpus):
    before = gpus.state()
    with open(f"{gpus.file}.mig-lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711")
        lock.flush()
        result = gpus.apply("halves")
        assert result.returncode == 4
        assert "Process 4711 is partitioning GPUs" in result.stderr
        ok(gpus.apply("halves", "--dry-run"))
    assert gpus.state() == before
    ok(gpus.apply("halves"))


def test_a_failed_step_is_undone_and_named(gpus):
    ok(gpus.apply("halves"))
    gpus.change(failures=[{"function": "nvmlDeviceCreateGpuInstanceWithPlacement", "status": "NVML_ERROR_UNKNOWN",
                           "after": 1}])
    result = gpus.apply("mixed")
    assert result.returncode == 3
    assert "nvmlDeviceCreateGpuInstanceWithPlacement fails: Unknown Error (NVML_ERROR_UNKNOWN)." in result.stderr
    assert "is undone" in result.stderr
    ok(gpus.mig("assert", "halves"))


def test_without_rights_it_is_refused(tmp_path):
    gpus = Gpus(tmp_path, {"root": False, "gpus": [{}]})
    result = gpus.apply("halves")
    assert result.returncode == 2
    assert "Insufficient Permissions (NVML_ERROR_NO_PERMISSION)" in result.stderr
    assert len(devices(gpus)) == 1  # looking needs no rights


def test_list_shows_what_fits_and_what_exists(gpus):
    ok(gpus.apply("mixed"))
    listed = json.loads(ok(gpus.mig("list", None, "--json")).stdout)["gpus"]
    free = {profile["name"]: profile["free"] for profile in listed[0]["profiles"]}
    assert free == {"1g.10gb": 0, "1g.10gb+me": 0, "1g.20gb": 0, "2g.20gb": 0, "3g.40gb": 0, "4g.40gb": 0, "7g.80gb": 0}
    three, = [profile for profile in listed[0]["profiles"] if profile["name"] == "3g.40gb"]
    assert (three["id"], three["total"]) == (9, 2)
    assert three["placements"] == [{"start": 0, "size": 4}, {"start": 4, "size": 4}]
    assert sorted(instance["profile"] for instance in listed[0]["instances"]) == [
        "1g.10gb", "1g.10gb", "2g.20gb", "3g.40gb"]
    assert all(profile["free"] == profile["total"] for profile in listed[1]["profiles"])
    table = ok(gpus.mig("list")).stdout
    assert "{0,4}:4" in table and "MIG mode disabled" in table


@pytest.mark.parametrize("arguments, status, complaint", [
    (["mig"], 2, "Name a command: list, apply, assert, export."),
    (["mig", "aply"], 2, "Did you mean `apply`?"),
    (["mig", "apply"], 2, "--config-file is required"),
    (["mig", "assert", "-f", "no-such-file"], 2, "does not exist"),
])
def test_usage_errors_exit_with_2(arguments, status, complaint):
    result = mignificient(*arguments)
    assert result.returncode == status
    assert complaint in result.stderr


def test_an_unknown_configuration_exits_with_5_and_names_the_nearest(gpus):
    result = gpus.apply("halfs")
    assert result.returncode == 5
    assert "Did you mean `halves`?" in result.stderr


def test_a_file_can_be_checked_without_a_gpu(gpus):
    ok(mignificient("mig", "assert", "-f", gpus.configs, "-c", "mixed", "--valid-config"))
    gpus.configs.write_text("version: v1\nmig-configs: {a: [{devices: all}]}\n")
    result = mignificient("mig", "assert", "-f", gpus.configs, "--valid-config")
    assert result.returncode == 2
    assert "mig-configs.a[0].mig-enabled" in result.stderr


def test_the_variables_of_mig_parted_are_read(gpus):
    ok(gpus.run("mig", "apply", "--address", "unix:/no/such/socket",
                env={"MIG_PARTED_CONFIG_FILE": str(gpus.configs), "MIG_PARTED_SELECTED_CONFIG": "halves"}))
    ok(gpus.mig("assert", "halves"))


def test_another_name_for_nvml_is_refused():
    result = mignificient("devices", env={"MIGNIFICIENT_NVML": "x"})
    assert result.returncode == 2
    assert 'allowed is "fake:FILE"' in result.stderr


def where(node, instance):
    """The device that vector_add saw in an instance of that name or size."""
    result = ok(node.run("invoke", "--user", "u", "--mig-instance", instance, EXAMPLES / "vector_add_ptx.json"))
    return json.loads(result.stdout)["device"]


def test_functions_run_on_every_partition_of_several_software_gpus():
    with node_module.node({"software-gpus": "1g,2g.4gb;3g;4g;whole"}) as node:
        for position, instance in enumerate(["1g", "2g.4gb", "3g.3gb", "4g"]):
            assert where(node, instance) == f"MIGnificient software GPU MIG-software-{position}"
        assert where(node, "7g") == "MIGnificient software GPU GPU-software-3"


def test_a_bad_description_of_software_gpus_is_refused():
    result = mignificient("devices", "--driver", "cpu", env={"MIGNIFICIENT_SOFTWARE_GPUS": "8g"})
    assert result.returncode == 2
    assert "allowed is 1g to 7g" in result.stderr


def test_functions_run_on_the_instances_of_fake_gpus_which_then_cannot_be_changed(gpus):
    ok(gpus.apply("mixed"))
    first, second = devices(gpus)
    instances = {instance["instance_size"]: instance["uuid"] for instance in first["instances"]}
    with node_module.node({"nvml": gpus.nvml}) as node:
        assert where(node, "3g.40gb") == f"MIGnificient software GPU {instances['3g.40gb']}"
        before = gpus.state()
        refused = gpus.apply("halves", address=node.address)
        assert refused.returncode == 4
        assert f"Container c-1 of user u runs on GPU 0 ({instances['3g.40gb']})." in refused.stderr
        assert gpus.state() == before
        assert where(node, "7g") == f"MIGnificient software GPU {second['uuid']}"
    ok(gpus.apply("halves", address=node.address))


def test_a_node_with_tokens_tells_whoever_has_one_that_somebody_elses_container_is_in_the_way(gpus, tmp_path):
    ok(gpus.apply("mixed"))
    tokens = tmp_path / "tokens"
    tokens.write_text("alice plain:token-of-alice-0123\nbob plain:token-of-bob-0123456\n")
    tokens.chmod(0o600)
    with node_module.node({"nvml": gpus.nvml, "auth": {"tokens": str(tokens)}}) as node:
        ok(node.run("invoke", "--token", "token-of-alice-0123", "--user", "alice", "--mig-instance", "3g",
                    EXAMPLES / "vector_add_ptx.json"))
        before = gpus.state()
        nobody = gpus.apply("halves", address=node.address)
        assert nobody.returncode != 0 and "(--token)" in nobody.stderr
        bob = gpus.apply("halves", "--token", "token-of-bob-0123456", address=node.address)
        assert bob.returncode == 4 and "A container of another user runs on GPU 0" in bob.stderr
        alice = gpus.apply("halves", "--token", "token-of-alice-0123", address=node.address)
        assert alice.returncode == 4 and "Container c-1 of user alice runs on GPU 0" in alice.stderr
        assert gpus.state() == before
