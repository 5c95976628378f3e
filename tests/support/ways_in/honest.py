# SPDX-License-Identifier: MIT
"""Files that boards have for other purposes: no ways in."""

from __future__ import annotations

from tests.support.ways_in.texts import UNIT

HONEST: tuple[tuple[str, str], ...] = (
    (
        f"{UNIT}/harbour.service",
        "# Ours.\n[Unit]\nDescription=Harbour \\\n  master\nAfter=network-online.target\nWants=network-online.target\n"
        "\n[Service]\nType=simple\nUser=harbour\nEnvironment=PORT=80 'NAME=the harbour'\n"
        "EnvironmentFile=-/etc/default/harbour\n"
        "ExecStartPre=/bin/sleep 1\nExecStart=/usr/bin/python3 -u /opt/harbour/main.py --serve ${PORT} %i\n"
        "ExecReload=/bin/kill -HUP $MAINPID\nRestart=on-failure\nRestartSec=5\nStateDirectory=harbour\n"
        "ProtectSystem=strict\nStandardOutput=append:/var/log/harbour.log\n\n[Install]\nWantedBy=multi-user.target\n",
    ),
    (f"{UNIT}/harbour.timer", "[Timer]\nOnCalendar=daily\nPersistent=true\n[Install]\nWantedBy=timers.target\n"),
    (f"{UNIT}/harbour.path", "[Path]\nPathChanged=/srv/harbour\nUnit=harbour.service\n"),
    (f"{UNIT}/srv-data.mount", "[Mount]\nWhat=/dev/disk/by-label/data\nWhere=/srv/data\nType=ext4\nOptions=noatime\n"),
    (f"{UNIT}/ssh.service.d/x.conf", "[Unit]\nAfter=network-online.target\n[Service]\nRestart=always\nNice=-5\n"),
    (f"{UNIT}/apt-daily.timer.d/x.conf", "[Timer]\nOnCalendar=\nOnCalendar=Sun 04:00\n"),
    (f"{UNIT}/ssh.service", "-> /dev/null"),
    (f"{UNIT}/sshd.service", "-> /usr/lib/systemd/system/ssh.service"),
    ("/etc/systemd/system.conf.d/watchdog.conf", "[Manager]\nRuntimeWatchdogSec=15\nDefaultLimitNOFILE=65536\n"),
    ("/etc/systemd/journald.conf.d/x.conf", "[Journal]\nStorage=volatile\n"),
    ("/etc/systemd/network/10-x.network", "[Match]\nName=e*\n[Network]\nDHCP=yes\n"),
    ("/etc/systemd/system-preset/50-x.preset", "disable *\nenable ssh.service\n"),
    ("/etc/docker/daemon.json", '{"log-driver": "journald", "data-root": "/srv/docker", "hosts": ["fd://"]}'),
    (
        "/etc/environment",
        'LANG=de_DE.UTF-8\nhttp_proxy="http://proxy.example.org:3128"\nPATH="/usr/local/bin:/usr/bin:/bin"\n',
    ),
    ("/etc/cron.d/harbour", 'MAILTO=""\n0 4 * * Mon harbour /usr/local/bin/backup --all >/dev/null 2>&1\n'),
    (
        "/etc/udev/rules.d/x.rules",
        'SUBSYSTEM=="usb", ATTR{idVendor}=="1234", \\\n  MODE="0660", GROUP="dialout", SYMLINK+="x"\n',
    ),
    ("/etc/modprobe.d/x.conf", "blacklist nouveau\noptions snd-usb index=0\ninstall pcspkr /bin/true\n"),
    ("/etc/sysctl.d/x.conf", "net.ipv4.ip_forward = 1\nvm.swappiness=10\nkernel.core_pattern=core.%e\n"),
    ("/etc/profile.d/x.sh", "# Ours.\nexport EDITOR=vim\nPATH=\"$PATH:/opt/x/bin\"\nalias ll='ls -l'\nexport PATH\n"),
    (
        "/etc/apt/apt.conf.d/99x",
        '// Small.\nAPT::Install-Recommends "false";\nAPT::Default-Release "trixie";\n'
        'Acquire { http { Proxy "http://x:3142"; }; };\n',
    ),
    ("/etc/network/interfaces.d/eth0", "auto eth0\niface eth0 inet static\n  address 192.0.2.1/24\n"),
    ("/etc/logrotate.d/x", "/var/log/harbour.log {\n  weekly\n  rotate 4\n}\n"),
    ("/etc/samba/smb.conf", "[global]\nworkgroup = HARBOUR\n[data]\npath = /srv\nread only = no\n"),
    (
        "/etc/tmpfiles.d/x.conf",
        "w /sys/class/leds/led0/trigger - - - - none\nd /run/harbour 0755 - -\nq %S/x/* - - - 7d\n",
    ),
    ("/etc/sysusers.d/x.conf", 'u! harbour 471 "Harbour master" /var/lib/harbour /usr/sbin/nologin\nm harbour gpio\n'),
    ("/etc/default/harbour", "# Ours.\nPORT=80\nNAME='the harbour'\n"),
    ("/etc/default/keyboard", 'XKBLAYOUT="de"\nXKBVARIANT=""\n'),
    ("/etc/cron.d/backup", "CRON_TZ=UTC\n0 4 * * * root /usr/local/bin/backup >> /var/log/backup.log 2>&1\n"),
    ("/etc/sysctl.d/y.conf", "kernel.core_pattern=/srv/cores/core.%e\nnet.ipv4.conf.*.rp_filter=1\n"),
    (
        f"{UNIT}/pier.service",
        '[Unit]\nBindsTo=dev-%i.device\n[Service]\nExecStart="/opt/x/run" --a\nProcSubset=pid\nKeyringMode=private\n'
        "ConfigurationDirectory=pier\nSystemCallFilter=@system-service\n",
    ),
    (f"{UNIT}/mole.service", "[Service]\nExecStart=/usr/bin/node --max-old-space-size=256 /opt/mole/main.js\n"),
    ("/etc/samba/shares.conf", "[scripts]\npath = /srv/scripts\n"),
    (
        f"{UNIT}/quay.service",
        "[Service]\nWorkingDirectory=/srv/quay\nExecStart=/usr/bin/docker compose -f /srv/quay/compose.yaml up -d\n"
        "ExecStop=/usr/bin/docker compose down\nStandardOutput=append:/srv/quay/quay.log\n",
    ),
    (f"{UNIT}/jetty.service", "[Service]\nExecStart=/usr/bin/env python3 -u /opt/jetty/main.py\n"),
    ("/etc/systemd/network/20-x.network", "# No property of it is ours.\n[Match]\nName=e*\n[Network]\nDHCP=yes\n"),
    ("/etc/profile.d/y.sh", "alias gs='git status'\nalias ip='ip -c'\nexport PAGER='less -R'\nalias ..='cd ..'\n"),
    ("/etc/default/quay", 'URL="https://example.org/a?b=c&d=50%#e"\n'),
    (
        "/etc/udev/rules.d/y.rules",
        'SUBSYSTEM=="gpio", GROUP="gpio", MODE="0660"\nKERNEL=="ttyUSB[0-9]*|i2c-1", MODE="0666"\n'
        'SUBSYSTEM=="block", SYMLINK+="card"\n',
    ),
    (
        "/etc/logrotate.d/y",
        "/var/lib/docker/containers/*/*.log /srv/quay/logs/* {\n  daily\n  copytruncate\n}\n"
        "/opt/quay/quay.log {\n  create 0640 root adm\n}\n",
    ),
    (
        "/etc/samba/smb.conf",
        "[global]\n  server role = standalone server\n  log file = /var/log/samba/log.%m\n  Max Log Size = 1000\n"
        "[homes]\n  browseable = no\n  read only = yes\n  create mask = 0700\n  valid users = %S\n",
    ),
    ("/etc/motd", "password: none\n"),
    ("/opt/harbour/harbour.yaml", "port: 80\n"),
    ("/usr/local/share/harbour/index.html", "x"),
    ("/usr/local/bin/harbour", "#!/bin/sh\n"),
    ("/usr/lib/firmware/brcm/brcmfmac43430-sdio.txt", "x"),
    ("/home/pirate/notes", "x"),
    ("/etc/modules-load.d/x.conf", "i2c-dev\n"),
    ("/etc/rc2.d/S01x", "-> ../init.d/x"),
    ("/var/lib/systemd/linger/pirate", ""),
)
"""Files that boards have for other purposes, and that are no ways in."""
