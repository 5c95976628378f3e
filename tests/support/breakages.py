# SPDX-License-Identifier: MIT
"""Ways to break a good image of `rpi`, and the specs that find each: all that turn red, no more and no less.

Most are found by one spec. A file of a package is also found by the spec that compares all of them with what their
packages deliver: it says which file, the other what that means.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from tests.support.mutants import Mutant, tool

DELIVERED = "packages_spec.py::test_every_file_of_a_package_is_as_delivered"
ACCESS = "access_spec.py::test_nothing_of_elsewhere_says_who_gets_in"
USER_DATA = "first_boot_spec.py::test_user_data_is_that_of_the_build"
AMD64 = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 62) + bytes(44)
"""The head of a program for the wrong processor."""


def lose_a_module_directory(mutant: Mutant) -> None:
    directory = f"/usr/lib/modules/{mutant.kernel}/kernel/net/tipc"
    mutant.change(*(f"rm {directory}/{name}" for name in mutant.names(directory) if not name.startswith(".")))


def name_another_partition_in_the_command_line(mutant: Mutant) -> None:
    mutant.edit_boot("cmdline.txt", "root=PARTUUID=", "root=PARTUUID=f")


def forget_a_console(mutant: Mutant) -> None:
    mutant.edit_boot("cmdline.txt", "net.ifnames=0", "")


def name_another_partition_in_fstab(mutant: Mutant) -> None:
    mutant.edit("/etc/fstab", "-01 /boot", "-03 /boot")


def leave_a_host_key(mutant: Mutant) -> None:
    mutant.put("/etc/ssh/ssh_host_ed25519_key.pub", "ssh-ed25519 AAAA root@build\n")


def leave_an_empty_password(mutant: Mutant) -> None:
    mutant.edit("/etc/shadow", "pirate:!:", "pirate::", mode=0o640, gid=42)


def ask_for_no_password(mutant: Mutant) -> None:
    mutant.edit("/etc/passwd", "pirate:x:", "pirate::")


def cut_the_firmware_short(mutant: Mutant) -> None:
    mutant.put_boot("start4.elf", mutant.read_boot("start4.elf")[:100_000])


def lose_a_device_tree(mutant: Mutant) -> None:
    mutant.remove_boot("bcm2837-rpi-3-b.dtb")


def boot_half_a_kernel(mutant: Mutant) -> None:
    name = f"vmlinuz-{mutant.kernel}"
    mutant.put_boot(name, mutant.read_boot(name)[: 5 << 20])


def lose_a_line_of_config_txt(mutant: Mutant) -> None:
    mutant.edit_boot("config.txt", "gpu_mem=16", "")


def let_others_read_a_file_of_sudo(mutant: Mutant) -> None:
    mutant.set_mode("/etc/sudoers.d/boardwright-pirate", 0o100644)


def let_others_write_sudoers(mutant: Mutant) -> None:
    mutant.set_mode("/etc/sudoers", 0o100644)


def switch_a_kernel_option_off(mutant: Mutant) -> None:
    mutant.edit(f"/boot/config-{mutant.kernel}", "CONFIG_VETH=m", "# CONFIG_VETH is not set")


def put_a_foreign_program_into_the_initrd(mutant: Mutant) -> None:
    fields = (1, 0o100755, 0, 0, 1, 0, len(AMD64), 0, 0, 0, 0, len(b"usr/bin/x\0"), 0)
    member = b"070701" + b"".join(b"%08X" % field for field in fields) + b"usr/bin/x\0"
    end = b"070701" + b"".join(b"%08X" % field for field in (0,) * 11 + (11, 0)) + b"TRAILER!!!\0"
    archive = b"".join(part.ljust(-(-len(part) // 4) * 4, b"\0") for part in (member, AMD64, end))
    name = f"initrd.img-{mutant.kernel}"
    whole = archive + mutant.read_boot(name)
    mutant.put_boot(name, whole)
    mutant.put(f"/boot/{name}", whole)


def leave_a_foreign_program(mutant: Mutant) -> None:
    mutant.put("/usr/local/bin/tool", AMD64, mode=0o755)


def leave_the_emulator(mutant: Mutant) -> None:
    mutant.put("/usr/bin/qemu-aarch64-static", "#!/bin/sh\n", mode=0o755)


def give_user_data_a_wrong_type(mutant: Mutant) -> None:
    mutant.put_boot("user-data", "#cloud-config\nhostname: [a, list]\n")


def forget_the_first_line_of_user_data(mutant: Mutant) -> None:
    mutant.put_boot("user-data", "hostname: x\n")


def misspell_the_network(mutant: Mutant) -> None:
    mutant.edit_boot("network-config", "dhcp6: true", "dhcp6: perhaps")


def lose_the_instance_id(mutant: Mutant) -> None:
    mutant.put_boot("meta-data", "instance-id: ''\n")


def keep_the_machine_id(mutant: Mutant) -> None:
    mutant.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n", mode=0o444)


def leave_an_apt_list(mutant: Mutant) -> None:
    mutant.put("/var/lib/apt/lists/deb.debian.org_Packages", "Package: x\n")


def leave_the_builds_resolver(mutant: Mutant) -> None:
    mutant.put("/etc/resolv.conf", "nameserver 8.8.8.8\n")


def leave_a_private_key(mutant: Mutant) -> None:
    mutant.put("/etc/ssl/private.pem", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n")


def let_anybody_become_root(mutant: Mutant) -> None:
    mutant.set_mode("/usr/bin/nano", 0o104755)


def take_the_right_from_sudo(mutant: Mutant) -> None:
    mutant.set_mode("/usr/bin/sudo", 0o100755)


def give_a_program_capabilities(mutant: Mutant) -> None:
    value = mutant.scratch / "capability"
    value.write_bytes(bytes.fromhex("0100000200200000000000000000000000000000"))
    mutant.change(f"ea_set -f {value} /usr/bin/curl security.capability")


def let_anybody_write_a_file(mutant: Mutant) -> None:
    mutant.set_mode("/etc/profile", 0o100666)


def leave_a_link_that_leads_nowhere(mutant: Mutant) -> None:
    mutant.link("/usr/local/share/nowhere", "/usr/share/nowhere")


def leave_a_device(mutant: Mutant) -> None:
    mutant.change("cd /dev", "mknod null c 1 3", f"sif null mtime @{mutant.plan.epoch}")


def let_a_daemon_log_in(mutant: Mutant) -> None:
    mutant.edit("/etc/passwd", ":/var/www:/usr/sbin/nologin", ":/var/www:/bin/bash")


def hold_a_package(mutant: Mutant) -> None:
    head = "Package: less\nStatus: "
    mutant.edit("/var/lib/dpkg/status", f"{head}install ok installed", f"{head}hold ok installed")


def mount_something_else(mutant: Mutant) -> None:
    mutant.edit("/etc/fstab", "# Written", "tmpfs /srv tmpfs defaults 0 0\n# Written")


def swap_to_a_file(mutant: Mutant) -> None:
    mutant.edit("/etc/fstab", "# Written", "/swapfile none swap sw 0 0\n# Written")


def list_another_version(mutant: Mutant) -> None:
    mutant.listing.write_text(mutant.listing.read_text().replace("\nbash\t", "\nbash\t1:", 1))


def remove_a_package(mutant: Mutant) -> None:
    head = "Package: htop\nStatus: "
    mutant.edit("/var/lib/dpkg/status", f"{head}install ok installed", f"{head}deinstall ok config-files")


def damage_a_program(mutant: Mutant) -> None:
    mutant.edit("/usr/bin/ldd", "#!/bin/bash", "#!/bin/bush", mode=0o755)


def disable_a_unit(mutant: Mutant) -> None:
    mutant.change("rm /etc/systemd/system/multi-user.target.wants/ssh.service")


def enable_a_unit(mutant: Mutant) -> None:
    unit = "apt-daily.timer"
    mutant.link(f"/etc/systemd/system/timers.target.wants/{unit}", f"/usr/lib/systemd/system/{unit}")


def take_a_user_out_of_a_group(mutant: Mutant) -> None:
    group = next(line for line in mutant.read("/etc/group").decode().splitlines() if line.startswith("docker:"))
    mutant.edit("/etc/group", group, group.removesuffix("pirate"))


def give_the_host_another_name(mutant: Mutant) -> None:
    mutant.put("/etc/hostname", "localhost\n")


def trust_an_archive_blindly(mutant: Mutant) -> None:
    text = mutant.read("/etc/apt/sources.list.d/debian.sources").decode()
    mutant.put("/etc/apt/sources.list.d/debian.sources", text.rstrip("\n") + "\nTrusted: yes\n")


def let_root_in_by_password(mutant: Mutant) -> None:
    mutant.put("/etc/ssh/sshd_config.d/root.conf", "PermitRootLogin yes\n")


def start_a_shell_instead(mutant: Mutant) -> None:
    mutant.edit_boot("cmdline.txt", "rootwait", "rootwait init=/bin/sh")


def start_a_shell_after_the_next_upgrade(mutant: Mutant) -> None:
    mutant.put("/etc/default/raspi-extra-cmdline", "cgroup_enable=memory init=/bin/sh\n")


def log_root_in_at_a_console(mutant: Mutant) -> None:
    text = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root %I\n"
    mutant.put("/etc/systemd/system/getty@tty1.service", text)


def give_a_partition_another_type(mutant: Mutant) -> None:
    tool("sfdisk", "--no-reread", "--no-tell-kernel", "--part-type", mutant.disk, "1", "83")


def lose_the_boot_flag(mutant: Mutant) -> None:
    mutant.poke(446, b"\0")


def damage_the_root_filesystem(mutant: Mutant) -> None:
    mutant.change("sif /etc/fstab links_count 7")


def damage_the_boot_filesystem(mutant: Mutant) -> None:
    with mutant.disk.open("rb") as stream:
        stream.seek(mutant.start("/boot/firmware") + 14)
        reserved = int.from_bytes(stream.read(2), "little")
    # A cluster that belongs to no file, in the first of the two tables only.
    mutant.poke(mutant.start("/boot/firmware") + reserved * 512 + 4 * 90_000, b"\xff\xff\xff\x0f")


def give_a_filesystem_another_label(mutant: Mutant) -> None:
    mutant.change("ssv volume_name other")


def fill_the_root_filesystem(mutant: Mutant) -> None:
    mutant.put("/var/log/journal/large", bytes(1) * (100 << 20) + b"\1" * (200 << 20))


def write_a_file_after_the_build(mutant: Mutant) -> None:
    mutant.change(f"sif /etc/issue mtime @{mutant.plan.epoch + 60}")


def hide_a_file_below_the_boot_partition(mutant: Mutant) -> None:
    mutant.put("/boot/firmware/cmdline.txt", "console=tty1\n")


BREAKAGES: Mapping[Callable[[Mutant], None], set[str]] = {
    lose_a_module_directory: {"kernel_spec.py::test_every_module_that_modprobe_knows_is_there", DELIVERED},
    name_another_partition_in_the_command_line: {
        "fstab_spec.py::test_the_command_line_finds_the_root_by_the_id_in_the_table",
        ACCESS,
    },
    forget_a_console: {"fstab_spec.py::test_the_command_line_has_what_the_recipe_asks_for[net.ifnames=0]"},
    name_another_partition_in_fstab: {"fstab_spec.py::test_fstab_finds_a_slot_by_the_id_in_the_table[boot]"},
    leave_a_host_key: {"traces_spec.py::test_a_trace_is_not_there[/etc/ssh/ssh_host_*]", ACCESS},
    leave_an_empty_password: {"users_spec.py::test_nobody_has_a_password"},
    ask_for_no_password: {"users_spec.py::test_every_password_is_in_shadow"},
    cut_the_firmware_short: {"boot_spec.py::test_the_firmware_is_that_of_its_package"},
    lose_a_device_tree: {"boot_spec.py::test_the_boot_chain_finds_a_file[bcm2837-rpi-3-b.dtb]"},
    boot_half_a_kernel: {"boot_spec.py::test_the_kernel_that_boots_is_the_installed_one"},
    lose_a_line_of_config_txt: {"boot_spec.py::test_config_txt_has_a_line_of_the_recipe[gpu_mem=16]"},
    let_others_read_a_file_of_sudo: {"users_spec.py::test_sudo_accepts_the_mode_of_its_files"},
    let_others_write_sudoers: {"files_spec.py::test_a_system_file_has_its_mode[/etc/sudoers]"},
    switch_a_kernel_option_off: {"kernel_spec.py::test_the_kernel_has_an_option_that_docker_needs[VETH]", DELIVERED},
    put_a_foreign_program_into_the_initrd: {"traces_spec.py::test_no_program_of_the_initrd_is_of_another_architecture"},
    leave_a_foreign_program: {"traces_spec.py::test_no_program_is_of_another_architecture"},
    leave_the_emulator: {
        "traces_spec.py::test_a_trace_is_not_there[/usr/bin/qemu-*]",
        "packages_spec.py::test_programs_in_the_path_are_of_a_package",
    },
    give_user_data_a_wrong_type: {"first_boot_spec.py::test_user_data_is_valid", USER_DATA, ACCESS},
    forget_the_first_line_of_user_data: {
        "first_boot_spec.py::test_user_data_starts_as_cloud_init_wants_it",
        USER_DATA,
        ACCESS,
    },
    misspell_the_network: {"first_boot_spec.py::test_network_config_is_valid"},
    lose_the_instance_id: {"first_boot_spec.py::test_meta_data_names_the_instance"},
    keep_the_machine_id: {"traces_spec.py::test_the_machine_id_is_made_at_first_boot"},
    leave_an_apt_list: {"traces_spec.py::test_a_trace_is_not_there[/var/lib/apt/lists/*]"},
    leave_the_builds_resolver: {"traces_spec.py::test_the_resolver_is_systemds"},
    leave_a_private_key: {"traces_spec.py::test_no_private_key_is_there[/etc]", ACCESS},
    let_anybody_become_root: {"files_spec.py::test_no_other_file_is_setuid_or_setgid"},
    take_the_right_from_sudo: {"files_spec.py::test_setuid_and_setgid_files_are_as_their_packages_bring_them"},
    give_a_program_capabilities: {"files_spec.py::test_no_other_file_has_capabilities"},
    let_anybody_write_a_file: {"files_spec.py::test_nothing_else_is_writable_by_everybody"},
    leave_a_link_that_leads_nowhere: {"files_spec.py::test_every_other_link_leads_somewhere"},
    leave_a_device: {"traces_spec.py::test_no_other_device_pipe_or_socket_is_there"},
    let_a_daemon_log_in: {"users_spec.py::test_nobody_else_may_log_in"},
    hold_a_package: {"packages_spec.py::test_no_package_is_kept_from_upgrades"},
    mount_something_else: {"fstab_spec.py::test_fstab_mounts_nothing_else"},
    swap_to_a_file: {"fstab_spec.py::test_fstab_swaps_to_nothing_else"},
    list_another_version: {"packages_spec.py::test_the_packages_are_those_of_the_list"},
    remove_a_package: {
        "packages_spec.py::test_a_package_of_the_recipe_is_installed[htop]",
        "packages_spec.py::test_no_package_is_left_half_installed_or_removed",
    },
    damage_a_program: {DELIVERED},
    disable_a_unit: {"units_spec.py::test_a_unit_of_the_recipe_is_enabled[ssh.service]"},
    enable_a_unit: {"units_spec.py::test_a_unit_of_the_recipe_is_disabled[apt-daily.timer]"},
    take_a_user_out_of_a_group: {"users_spec.py::test_a_user_is_in_a_group_of_the_recipe[pirate-docker]"},
    give_the_host_another_name: {"system_spec.py::test_the_host_has_the_name_of_the_recipe"},
    trust_an_archive_blindly: {"packages_spec.py::test_apt_trusts_nothing_without_a_signature"},
    let_root_in_by_password: {"system_spec.py::test_ssh_does_not_let_root_in_by_password", ACCESS},
    start_a_shell_instead: {ACCESS},
    start_a_shell_after_the_next_upgrade: {
        "boot_spec.py::test_kernel_upgrades_read_what_the_build_wrote[/etc/default/raspi-extra-cmdline]",
        ACCESS,
    },
    log_root_in_at_a_console: {ACCESS},
    give_a_partition_another_type: {"disk_spec.py::test_a_slot_has_the_planned_type[boot]"},
    lose_the_boot_flag: {"disk_spec.py::test_a_slot_is_bootable_if_planned[boot]"},
    damage_the_root_filesystem: {"disk_spec.py::test_fsck_finds_a_filesystem_clean[root]"},
    damage_the_boot_filesystem: {"disk_spec.py::test_fsck_finds_a_filesystem_clean[boot]"},
    give_a_filesystem_another_label: {"disk_spec.py::test_a_filesystem_has_the_planned_label[root]"},
    fill_the_root_filesystem: {"disk_spec.py::test_a_filesystem_has_its_margin_free[root]"},
    write_a_file_after_the_build: {"traces_spec.py::test_nothing_is_younger_than_the_build"},
    hide_a_file_below_the_boot_partition: {"fstab_spec.py::test_no_file_is_hidden_below_a_mount_point"},
}
"""Each breakage, and every spec that turns red."""
