# SPDX-License-Identifier: MIT
"""Ways in by programs and libraries: others in the place of a package's, or found before them."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.ways_in.texts import AUTOLOGIN

PROGRAMS: Mapping[str, tuple[str, str]] = {
    "a library before all others": ("/etc/ld.so.preload", "/usr/local/lib/libopen.so\n"),
    **{
        f"another {path}": (path, "#!/bin/sh\nexec /bin/sh\n")
        for path in (
            "/usr/sbin/sshd",
            "/usr/lib/openssh/sshd-session",
            "/usr/bin/login",
            "/usr/sbin/agetty",
            "/usr/sbin/sulogin",
            "/usr/bin/su",
            "/usr/bin/sudo",
            "/usr/libexec/sudo/sudoers.so",
            "/usr/bin/passwd",
            "/usr/sbin/unix_chkpwd",
            "/usr/lib/systemd/systemd",
            "/usr/lib/aarch64-linux-gnu/libpam.so.0.85.1",
            "/usr/lib/aarch64-linux-gnu/security/pam_unix.so",
            "/usr/lib/aarch64-linux-gnu/libnss_mallory.so.2",
            "/usr/lib/aarch64-linux-gnu/glibc-hwcaps/armv8/libpam.so.0",
            "/usr/lib/ld-linux-aarch64.so.1",
            "/usr/local/lib/libpam.so.0",
            "/usr/bin/dbus-daemon",
            "/usr/lib/polkit-1/polkitd",
            "/usr/sbin/dockerd",
            "/usr/bin/containerd",
            "/usr/lib/python3/dist-packages/cloudinit/stages.py",
            "/etc/ld.so.conf.d/00-x.conf",
        )
    },
    "libraries that are a link": ("/usr/local/lib", "-> /srv/lib"),
    "a program that is a link": ("/usr/sbin/sshd", "-> /srv/sshd"),
    "a library that is a link": ("/usr/lib/aarch64-linux-gnu/libpam.so.0", "-> /srv/libpam.so.0"),
    "what lies over /etc": ("/var/lib/confexts/x/etc/pam.d/common-auth", "auth sufficient pam_permit.so\n"),
    "what lies over /usr": ("/etc/extensions/x/usr/lib/systemd/system/x.service", AUTOLOGIN),
    "what lies over /usr, as an image": ("/var/lib/extensions/x.raw", "x"),
    "a program by a link that comes first": ("/usr/local/sbin/useradd", "-> /srv/x"),
    "a program of a home that comes first": ("/home/pirate/bin/sudo", "x"),
    "where modules are looked for": ("/usr/local/lib/depmod.d/x.conf", "external * /srv/modules\n"),
    "a plugin of Docker that comes first": ("/usr/local/lib/docker/cli-plugins/docker-compose", "x"),
    "a program of containerd that comes first": ("/opt/containerd/bin/runc", "x"),
    "where libraries are": ("/etc/ld.so.cache", "x"),
    "modules of OpenSSL": (
        "/etc/ssl/openssl.cnf",
        "openssl_conf=i\n[i]\nproviders=p\n[p]\nx=s\n[s]\nmodule=/srv/x.so\n",
    ),
    "an interpreter of a package turned elsewhere": ("/usr/bin/python3", "-> /srv/p"),
    "an alternative turned elsewhere": ("/etc/alternatives/iptables", "-> /srv/x"),
    "a compiled module of a package": (
        "/usr/lib/python3/dist-packages/cloudinit/__pycache__/stages.cpython-313.pyc",
        "x",
    ),
    "a library of PID 1": ("/usr/lib/aarch64-linux-gnu/systemd/libc.so.6", "x"),
    "a converter of letters": ("/usr/lib/aarch64-linux-gnu/gconv/X.so", "x"),
}
