# SPDX-License-Identifier: MIT
"""Ways in by units of systemd, services of D-Bus, and containers."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.ways_in.texts import AUTOLOGIN, UNIT

UNITS: Mapping[str, tuple[str, str]] = {
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
    "a password of a unit": (f"{UNIT}/systemd-sysusers.service.d/x.conf", "[Service]\nSetCredential=passwd.x:y\n"),
    "a directory of units that is a link": ("/usr/local/lib/systemd", "-> /srv/systemd"),
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
    "a mount over PAM": (f"{UNIT}/etc-pam.d.mount", "[Mount]\nWhat=/srv/p\nWhere=/etc/pam.d\nOptions=bind\n"),
    "a mount over all of /etc": (f"{UNIT}/etc.mount", "[Mount]\nWhat=/srv/e\nWhere=/etc\nOptions=bind\n"),
    "a mount of seeds": (f"{UNIT}/boot-firmware.mount", "[Mount]\nWhat=/srv/x.img\nWhere=/boot/firmware\n"),
    "a mount by its name": (f"{UNIT}/etc-pam.d.mount", "[Mount]\nWhat=/srv/p\n"),
    "a part of a mount": (f"{UNIT}/boot-firmware.mount.d/x.conf", "[Mount]\nWhat=/srv/x.img\n"),
    "an automount": (f"{UNIT}/etc-pam.d.automount", "[Automount]\nWhere=/etc/pam.d\n"),
    "a timer of the shell of debugging": (f"{UNIT}/x.timer", "[Timer]\nOnBootSec=1\nUnit=debug-shell.service\n"),
    "a timer by its name": (f"{UNIT}/debug-shell.timer", "[Timer]\nOnBootSec=1\n"),
    "a path of the shell of debugging": (f"{UNIT}/x.path", "[Path]\nPathExists=/\nUnit=rescue.target\n"),
    "a unit that wants it": (f"{UNIT}/x.target", "[Unit]\nWants=a.service debug-shell.service\n"),
    "a drop-in that wants it": (f"{UNIT}/multi-user.target.d/x.conf", "[Unit]\nUpholds=debug-shell.service\n"),
    "a name in .wants": (f"{UNIT}/multi-user.target.wants/debug-shell.service", "-> /srv/x.service"),
    "a preset": ("/etc/systemd/system-preset/00-x.preset", "enable debug-*\n"),
    "the environment of ssh by a drop-in": (f"{UNIT}/ssh.service.d/x.conf", "[Service]\nEnvironmentFile=/srv/x\n"),
    "options of ssh by a drop-in": (
        f"{UNIT}/ssh.service.d/x.conf",
        '[Service]\nEnvironment=A=b "SSHD_OPTS=-oPermitEmptyPasswords=yes"\n',
    ),
    "another PAM for ssh": (f"{UNIT}/ssh.service.d/x.conf", "[Service]\nBindReadOnlyPaths=/srv/p:/etc/pam.d\n"),
    "another root for ssh": (f"{UNIT}/ssh.service.d/x.conf", "[Service]\nRootDirectory=/srv/r\n"),
    "another image for ssh": (f"{UNIT}/ssh.service.d/x.conf", "[Service]\nRootImage=/srv/r.raw\n"),
    "a program on a console": (f"{UNIT}/getty@tty1.service.d/x.conf", "[Service]\nExecStart=\nExecStart=/srv/shell\n"),
    "a program for all services": (f"{UNIT}/service.d/x.conf", "[Service]\nExecStartPre=/srv/x\n"),
    "a program in other letters": (f"{UNIT}/x.service", '[Service]\nExecStart=-/sbin/a"g"ett\\x79 -\\x61 root %I\n'),
    "a second command": (f"{UNIT}/x.service", "[Service]\nExecStart=/opt/x ; /usr/bin/passwd -d root\n"),
    "a way back from a directory": (f"{UNIT}/x.service", "[Service]\nExecStart=/opt/../usr/bin/passwd -d root\n"),
    "a comment that goes on": (f"{UNIT}/x.service", "[Service]\n# x \\\nExecStart=/usr/bin/passwd -d root\n"),
    "a blank after a backslash": (
        f"{UNIT}/x.service",
        "[Unit]\nDescription=x \\ \n[Service]\nExecStart=/usr/bin/passwd -d root\n",
    ),
    "a line that ends otherwise": (f"{UNIT}/x.service", "[Service]\nNice=5 \\\n\r; /usr/bin/passwd -d root\n"),
    "a unit that takes a password away": (f"{UNIT}/x.service", "[Service]\nExecStart=/usr/bin/passwd -d root\n"),
    "a unit that lays keys": (
        f"{UNIT}/x.service",
        "[Service]\nExecStart=/usr/bin/install -D /srv/k /root/.ssh/authorized_keys\n",
    ),
    "a unit that runs words": (f"{UNIT}/x.service", "[Service]\nExecStart=/bin/sh -c 'passwd -d root'\n"),
    "a unit of systemctl": ("/etc/systemd/system.control/x.service", AUTOLOGIN),
    "a unit that was attached": ("/etc/systemd/system.attached/x.service", AUTOLOGIN),
    "a unit of a user": (
        "/root/.config/systemd/user/x.service",
        "[Service]\nExecStart=/usr/bin/nc -lp 99 -e /bin/sh\n",
    ),
    "a directory of drop-ins that is a link": (f"{UNIT}/getty@tty1.service.d", "-> /srv/d"),
    "Docker's socket for all": (f"{UNIT}/docker.socket.d/x.conf", "[Socket]\nListenStream=2375\n"),
    "Docker for all": (
        f"{UNIT}/docker.service.d/x.conf",
        "[Service]\nExecStart=\nExecStart=/usr/bin/dockerd -H tcp://0.0.0.0:2375\n",
    ),
    "Docker's hosts": ("/etc/docker/daemon.json", '{"hosts": ["fd://", "tcp://0.0.0.0:2375"]}'),
    "Docker's hosts in capitals": ("/etc/docker/daemon.json", '{"HOSTS": ["tcp://0.0.0.0:2375"]}'),
    "what all services get": (
        "/etc/systemd/system.conf.d/x.conf",
        "[Manager]\nDefaultEnvironment=SYSTEMD_SULOGIN_FORCE=1\n",
    ),
    "a shell after a crash": ("/etc/systemd/system.conf", "[Manager]\nCrashShell=yes\n"),
    "a service of D-Bus": ("/usr/share/dbus-1/system-services/x.service", "[D-BUS Service]\nExec=/srv/x\nUser=root\n"),
    "a policy of D-Bus": ("/etc/dbus-1/system.d/x.conf", "<busconfig/>"),
    "a container at each start": ("/etc/containers/systemd/x.container", "[Container]\nVolume=/:/host\n"),
    "options of Docker": ("/etc/default/docker", 'DOCKER_OPTS="-H tcp://0.0.0.0:2375"\n'),
    "a link with two lines": ("/usr/lib/systemd/system-generators/x\ny", "-> /srv/x"),
    "an output that is keys": (
        f"{UNIT}/cron.service.d/x.conf",
        "[Service]\nStandardOutput=append:/home/pirate/.ssh/x\n",
    ),
    "containers of another directory's": (
        f"{UNIT}/x.service",
        "[Service]\nExecStart=/usr/bin/docker compose -f /boot/firmware/x.yaml up\n",
    ),
    "a container that is named": (f"{UNIT}/x.service", "[Service]\nExecStart=/usr/bin/docker run --privileged x\n"),
    "a program by env": (f"{UNIT}/x.service", "[Service]\nExecStart=/usr/bin/env passwd -d root\n"),
    "a preset by letters": ("/etc/systemd/system-preset/00-x.preset", "enable [^z]ebug-shell.service\n"),
    "a preset behind a zero": ("/etc/systemd/system-preset/00-x.preset", "# x\0enable debug-shell.service\n"),
    "another system at a soft restart": (
        f"{UNIT}/run-nextroot.mount",
        "[Mount]\nWhat=/srv/root\nWhere=/run/nextroot\nOptions=bind\n",
    ),
    "a service of D-Bus in another place": (
        "/usr/lib/dbus-1/system-services/org.x.service",
        "[D-BUS Service]\nName=org.x\nExec=/usr/bin/passwd -d root\nUser=root\n",
    ),
    "calls that do nothing": (f"{UNIT}/cron.service.d/x.conf", "[Service]\nSystemCallFilter=~setuid:0 setgid:0\n"),
}
