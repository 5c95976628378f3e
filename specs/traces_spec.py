# SPDX-License-Identifier: MIT
"""No secret, no id and no trace of the machine that built it is in the image."""

from builder.plan.model import Plan
from builder.verify.facts.image import Subject


def test_a_trace_is_not_there(image: Subject, trace: str) -> None:
    assert image.rights.find_traces(trace) == []


def test_the_machine_id_is_made_at_first_boot(image: Subject) -> None:
    assert image.file("/etc/machine-id").is_file
    assert image.file("/etc/machine-id").size == 0


def test_the_resolver_is_systemds(image: Subject) -> None:
    assert image.file("/etc/resolv.conf").target == "../run/systemd/resolve/stub-resolv.conf"


def test_no_program_is_of_another_architecture(image: Subject) -> None:
    assert [path for path in image.foreign_programs if not path.startswith("/boot/initrd")] == []


def test_no_program_of_the_initrd_is_of_another_architecture(image: Subject) -> None:
    assert [path for path in image.foreign_programs if path.startswith("/boot/initrd")] == []


def test_no_library_is_below_another_architectures_name(image: Subject, plan: Plan) -> None:
    own = {"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}.get(plan.recipe.architecture.value, "arm")
    places = image.tree.glob("/usr/lib/*-linux-gnu*")
    assert [each.path for each in places if not each.path.startswith(f"/usr/lib/{own}")] == []


def test_no_private_key_is_there(image: Subject, private_place: str) -> None:
    small = (each for each in image.tree.below(private_place) if each.kind == "file" and each.size_bytes < 100_000)
    assert [each.path for each in small if b"PRIVATE KEY-----" in each.read()] == []


def test_nothing_is_younger_than_the_build(image: Subject, plan: Plan) -> None:
    assert [each.path for each in image.tree.entries.values() if each.mtime > plan.epoch] == []


def test_no_other_device_pipe_or_socket_is_there(image: Subject) -> None:
    image.rights.check_asked("special")


def test_dpkg_has_no_unfinished_update(image: Subject) -> None:
    assert [each.path for each in image.tree.glob("/var/lib/dpkg/updates/*")] == []
