# SPDX-License-Identifier: MIT
"""Paths whose files grant access or belong to the system, whatever their content is.

Paths are those of a system whose /bin, /sbin and /lib are links into /usr.
"""

from __future__ import annotations

import re

_BELOW = "(/.+)?"

_LOGIN = (
    # ssh, PAM, sudo, polkit, and the files that they read
    rf"/(etc|run|var/lib|usr/etc|usr/lib|usr/share|usr/local/(etc|lib|share))/(ssh|dropbear|pam\.d|security|sudoers\.d"
    rf"|polkit-1|doas\.d|userdb|credstore(\.encrypted)?|pam-configs|sssd|gdm3?|lightdm|sddm(\.conf(\.d)?)?|greetd|lxdm"
    rf"|xrdp|cockpit|krb5\.conf\.d){_BELOW}",
    r"/(usr/)?etc/(sudoers|sudo\.conf|sudo_logsrvd\.conf|doas\.conf|pam\.conf|nsswitch\.conf|login\.defs|inittab|securetty)",
    r"/etc/(hosts\.equiv|shosts\.equiv|krb5\.(conf|keytab)|nslcd\.conf|pam_ldap\.conf|libnss-ldap\.conf|slim\.conf)",
    r"/etc/(inetd\.conf|xinetd\.conf|xinetd\.d(/.+)?|X11/(xdm(/.+)?|default-display-manager))",
    r"/etc/default/(ssh|dropbear|getty.*|telnetd|inetutils-.*|nodm|u-boot|raspi-.*|grub.*|flash-kernel|docker)",
    rf"/(.+/)?(\.(ssh|vnc){_BELOW}|\.rhosts|\.shosts|\.k5login)",
    rf"/etc/cloud{_BELOW}",
    # systemd-stub(7): credentials beside the kernel; names on a FAT partition ignore case
    rf"(?i:/boot/(.+/)?(loader/(credentials|addons)|[^/]+\.extra\.d){_BELOW})",
    rf"/var/lib/(cloud|extrausers|AccountsService|systemd/home|pam){_BELOW}",
)
_STARTED = (
    # programs that init and systemd start as root
    r"/etc/(rc\.local|init\.d(/.+)?)",
    rf"/(etc|run|usr/lib|usr/local/lib)/systemd/(system|user)-(environment-)?generators{_BELOW}",
    rf"/usr/lib/systemd/system-(shutdown|sleep){_BELOW}",
    # files laid over /etc and /usr (systemd-sysext(8)), or into them (systemd-repart(8), systemd-sysupdate(8))
    rf"/(etc|run|var/lib|usr/lib|usr/local/lib)/(extensions|confexts|portables){_BELOW}",
    rf"/(etc|run|usr/lib|usr/local/lib)/(repart\.d|sysupdate(\..+)?\.d|binfmt\.d){_BELOW}",
    # scripts that other programs run as root: cron, kernel packages, initrds, the network, a login
    rf"/etc/cron\.(hourly|daily|weekly|monthly|yearly){_BELOW}",
    rf"/var/spool/(cron/crontabs|cron/atjobs|anacron){_BELOW}",
    rf"/(etc|usr/lib|usr/share)/kernel/(preinst|postinst|prerm|postrm|install|header_.+)\.d{_BELOW}",
    rf"/(etc|usr/share)/initramfs-tools/(hooks|scripts){_BELOW}|/etc/initramfs/post-update\.d{_BELOW}",
    rf"/(etc/dracut\.conf\.d|usr/lib/dracut){_BELOW}|/etc/dracut\.conf",
    rf"/(etc|usr/lib|usr/local/lib)/NetworkManager/dispatcher\.d{_BELOW}|/(etc|usr/lib)/networkd-dispatcher{_BELOW}",
    rf"/etc/network/if-[a-z-]+\.d{_BELOW}|/etc/(dhcp|ppp|resolvconf|acpi|update-motd\.d){_BELOW}",
    rf"/(etc|usr/lib|usr/share)/dhcpcd(\.(enter|exit)-hook|/dhcpcd-hooks{_BELOW})|/etc/dhcpcd\.(enter|exit)-hook",
    # services that D-Bus starts, and the rights to start them
    rf"/(etc|run|usr/lib|usr/share|usr/local/share)/dbus-1/(system-services|system\.d){_BELOW}",
    r"/(etc|usr/share)/dbus-1/system(-local)?\.conf",
    rf"/(etc|run|usr/share)/containers/systemd{_BELOW}|/etc/containerd{_BELOW}",
    rf"/etc/apt/trusted\.gpg(\.d{_BELOW})?",
    rf"/(etc|run|usr/lib|usr/share|usr/local/lib|usr/local/share)/depmod\.d{_BELOW}",
    # where programs of packages look for others before their own places
    rf"/opt/(containerd|nri|cni)/(bin|lib|plugins){_BELOW}",
    rf"/usr/local/share/(bash-completion|dbus-1){_BELOW}|/(home/[^/]+|root|etc/skel)/(bin|\.local/bin){_BELOW}",
    rf"/var/lib/(vim|emacs[^/]*){_BELOW}",
    # whom programs trust
    rf"/usr/local/share/ca-certificates{_BELOW}",
)
_PROGRAMS = (
    # Programs for login and rights, and basic ones. packages_spec checks all files of packages by dpkg's lists. These
    # are also checked by the record of the build, which includes links; dpkg's lists do not.
    r"/usr/(local/)?s?bin/(sshd|dropbear|login|a?getty|sulogin|su|sudo|sudo_root|doas|pkexec|passwd|chpasswd|gpasswd)",
    r"/usr/(local/)?s?bin/(newgrp|chsh|chfn|runuser|setpriv|nologin|unix_chkpwd|unix_update|pam_.+|init|telinit)",
    r"/usr/(local/)?s?bin/(systemctl|systemd-.+|udevadm|dbus-(daemon|broker.*)|polkitd|sssd|nslcd|nscd|cron|crond|atd)",
    r"/usr/(local/)?s?bin/(dockerd|containerd.*|runc|docker-(init|proxy)|cloud-init.*|cloud-id|ldconfig|kmod|modprobe)",
    r"/usr/(local/)?s?bin/(sh|bash|dash|busybox)",
    r"/usr/lib/systemd/[^/]+",
    rf"/usr/(lib|libexec)/(openssh|sudo|polkit-1|polkit[^/]*|dbus-1\.0|docker|cloud-init|sssd){_BELOW}",
    rf"/usr/lib/python3/dist-packages/cloudinit{_BELOW}",
)
LIBRARIES = re.compile(
    r"/usr/(local/)?lib(32|64|x32|o32|exec)?/(.+/)?[^/]+\.so(\.[^/]*)?"
    r"|/etc/ld\.so\.(preload|conf|conf\.d(/.+)?)"
)
"""Libraries that programs load by name or from a directory of plugins, and the search path (ld.so(8))."""
PLACES = re.compile("|".join((*_LOGIN, *_STARTED, *_PROGRAMS, LIBRARIES.pattern)))
"""Names of files and links that grant access or control it. A link of a directory's name counts, too."""
ABOVE = re.compile(
    r"/(etc|run|root|usr|var|home|home/[^/]+|opt/(containerd|nri|cni))|/usr/(s?bin|lib(exec|32|64|x32)?|etc|share|local)|/var/(lib|spool|spool/cron)"
    r"|/usr/local/(s?bin|lib|etc|share)|/usr/(local/)?lib/[a-z0-9_]+-linux-[a-z0-9_]+(/(sudo|security|glibc-hwcaps))?"
    r"|/usr/lib/python3(/dist-packages)?|/var/lib/systemd"
    r"|/(etc|run|usr/(local/)?(lib|share))/([^/]+/)?([^/]+\.d|systemd|udev|dbus-1|NetworkManager|kernel)"
    r"|/(etc|usr/share)/(initramfs-tools|dhcpcd|docker|network|apt|default|samba|zsh|skel|dpkg|xdg)"
    r"|/(etc|run|usr/(local/)?(lib|share))/systemd/[^/]+|/(.+/)?\.(config|local)(/(share|systemd))*"
)
"""Directories above such paths, or above files that are checked by content. A link of such a name replaces them."""
_NO_PLACE = re.compile(
    r"/(etc|usr|root|boot|dev|proc|sys|s?bin|lib[^/]*)(/.*)?|/var/lib/(dpkg|apt|systemd|dbus|docker|containerd)(/.*)?"
    r"|/run/(systemd|udev|credentials|sudo|user|docker.*|containerd|cloud-init|dbus|initramfs|nextroot|[^/]+\.d)(/.*)?"
)
"""Paths that a board must not write at run time: files of packages, seeds, devices, systemd's configuration."""
_PLAIN = re.compile(r"(/[A-Za-z0-9_.:@+-]+)+")

_SYSTEM = re.compile(
    r"/(etc|usr|root)/.+|/home/[^/]+/\..+|/var/lib/dpkg/info/[^/]+\.(preinst|postinst|prerm|postrm|config|triggers)"
)
_LANGUAGES = r"(lib|share)/([^/]+-linux-[^/]+/)?(python|perl|site_ruby|ruby|lua|tcl|node)"
_FREE = re.compile(
    "|".join(
        (
            # a board's own programs
            rf"/usr/local/(?!{_LANGUAGES}|etc/).+",
            # files that other specs check, or that each board writes
            r"/etc/((passwd|group|shadow|gshadow|subuid|subgid)-?|fstab|hostname|hosts|machine-id|timezone|adjtime|mailname)",
            r"/etc/(locale\.gen|resolv\.conf|mtab|apt/(sources\.list(\.d/.+)?|preferences\.d/.+|keyrings/.+))",
            # texts to show, and networks
            r"/etc/(motd|issue(\.net)?|modules(-load\.d/.+)?|avahi/services/.+|netplan/.+|fonts/.+|skel/[^.].*)",
            r"/etc/NetworkManager/system-connections/.+",
            r"/usr/share/(fonts|icons|backgrounds|pixmaps|sounds|wallpapers|images|doc|man|info|locale|zoneinfo)/.+",
            r"/usr/lib/firmware/.+",
            r"/usr/lib/boardwright/delivered\.json",
        )
    )
)


_OF_ROOT = re.compile(
    r"/((etc|usr|root|boot)(/.+)?|home|opt|var)?|/var/(lib|spool)|/var/lib/(dpkg|cloud|systemd)(/.+)?|/var/spool/cron(/.+)?",
    re.DOTALL,
)


def is_of_root(path: str) -> bool:
    """Say whether who may write to a path may become root by that: it is of root alone, or as its package brings it."""
    return _OF_ROOT.fullmatch(path) is not None


def may_be_laid(path: str) -> bool:
    """Return whether a file or mount at a path leaves all files that grant access unchanged.

    A path with unusual characters is refused.
    """
    path = path.rstrip("/")
    if not _PLAIN.fullmatch(path) or "/." in path or _NO_PLACE.fullmatch(path) or ABOVE.fullmatch(path):
        return False
    return not any(PLACES.fullmatch(path + below) for below in ("", "/x", "/x.conf"))


def is_of_system(path: str) -> bool:
    """Return whether a path belongs to the system, which only packages and the build may write.

    A file there can make root run a command in too many ways to list. A board's programs and some data do not count.
    """
    return _SYSTEM.fullmatch(path) is not None and _FREE.fullmatch(path) is None
