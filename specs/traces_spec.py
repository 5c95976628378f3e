# SPDX-License-Identifier: MIT
"""The image has no secret, no id and no trace of the build machine."""

from builder.plan.model import Plan
from builder.verify.facts.image import ImageFacts


def test_a_trace_is_not_there(image: ImageFacts, trace: str) -> None:
    assert image.rights.find_traces(trace) == []


def test_the_machine_id_is_made_at_first_boot(image: ImageFacts) -> None:
    assert image.file("/etc/machine-id").is_file
    assert image.file("/etc/machine-id").size == 0


def test_the_resolver_is_systemds(image: ImageFacts) -> None:
    assert image.file("/etc/resolv.conf").target == "../run/systemd/resolve/stub-resolv.conf"


def test_no_program_is_of_another_architecture(image: ImageFacts) -> None:
    assert [path for path in image.foreign_programs if not path.startswith("/boot/initrd")] == []


def test_no_program_of_the_initrd_is_of_another_architecture(image: ImageFacts) -> None:
    assert [path for path in image.foreign_programs if path.startswith("/boot/initrd")] == []


def test_no_library_is_below_another_architectures_name(image: ImageFacts, plan: Plan) -> None:
    cpu = {"amd64": "x86_64", "arm64": "aarch64", "riscv64": "riscv64"}.get(plan.recipe.architecture.value, "arm")
    directories = image.tree.glob("/usr/lib/*-linux-gnu*")
    assert [entry.path for entry in directories if not entry.path.startswith(f"/usr/lib/{cpu}")] == []


def test_no_private_key_is_there(image: ImageFacts, private_place: str) -> None:
    small = (entry for entry in image.tree.below(private_place) if entry.kind == "file" and entry.size_bytes < 100_000)
    assert [entry.path for entry in small if b"PRIVATE KEY-----" in entry.read()] == []


def test_nothing_is_younger_than_the_build(image: ImageFacts, plan: Plan) -> None:
    assert [entry.path for entry in image.tree.entries.values() if entry.mtime > plan.epoch] == []


def test_no_other_device_pipe_or_socket_is_there(image: ImageFacts) -> None:
    image.rights.check_asked("special")


def test_dpkg_has_no_unfinished_update(image: ImageFacts) -> None:
    assert [entry.path for entry in image.tree.glob("/var/lib/dpkg/updates/*")] == []
