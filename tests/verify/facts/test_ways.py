# SPDX-License-Identifier: MIT
"""Ways into an image that no recipe allows, in small trees: each is found, and a line allows it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from builder.disk.entry import Entry
from builder.rootfs.model import DELIVERED
from builder.verify.facts.ways import MOST_JUDGED, SEED_COST
from tests.support.rights import FILES, NOTHING, allow, make_image, put


@pytest.mark.parametrize(
    ("cmdline", "found"),
    [
        ("root=PARTUUID=1 quiet rw rootwait fsck.repair=yes net.ifnames=0", []),  # the last four are the hook's
        ("root=PARTUUID=1 quiet quiet", []),
        ("root=PARTUUID=1 root=/dev/sda9", ["root=/dev/sda9"]),
        ("root=PARTUUID=1 rootfstype=9p console=ttyS0", ["console=ttyS0", "rootfstype=9p"]),
        ('root=PARTUUID=1 "init=/bin/sh"', ["init=/bin/sh"]),
        ("root=PARTUUID=1 systemd.unit=rescue.target", ["systemd.unit=rescue.target"]),
        ("root=PARTUUID=1 -- quiet", ["--", "quiet"]),
        ("root=PARTUUID=1 -- --crash-shell", ["--", "--crash-shell"]),
        ("quiet\u2003root=PARTUUID=1", ["quiet\\u2003root=PARTUUID=1"]),  # one word for the kernel
    ],
)
def test_words_of_the_kernel_are_those_of_the_plan(cmdline: str, found: list[str], tmp_path: Path) -> None:
    """A word of the recipe needs a line of `expect` only where it is a way in; any other word does."""
    image = make_image(tmp_path, lambda _: None, files={"/boot/cmdline.txt": cmdline})
    assert [row.partition(" (of the kernel's")[0].strip('"') for row in image.find_unasked("access")] == found
    asked = make_image(
        tmp_path,
        lambda _: None,
        *(allow("access", word) for word in image.found("access")),
        files={"/boot/cmdline.txt": cmdline},
    )
    asked.check_asked("access")


def test_no_word_of_the_kernel_is_brought_by_a_package(tmp_path: Path) -> None:
    word, what = "init=/bin/sh", "of the kernel's command line"
    listed = json.loads(FILES[DELIVERED])
    delivered = json.dumps({**listed, "access": {**listed.get("access", {}), word: what}})
    image = make_image(tmp_path, lambda _: None, files={"/boot/cmdline.txt": word, DELIVERED: delivered})
    (row,) = image.find_unasked("access")
    assert row.startswith(f"{word} ({what}")


def test_files_that_take_long_to_judge_are_ways_in_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(entry: Entry, limit: int | None = None) -> bytes:
        read.append(entry.path)
        return original(entry, limit)

    original = Entry.read
    seeds = {f"/srv/{number}/user-data": "#cloud-config\nhostname: x\n".ljust(32000) for number in range(20)}
    rules = {"/etc/udev/rules.d/1.rules": 'KERNEL=="x"\n' * 90_000, "/etc/udev/rules.d/2.rules": 'KERNEL=="x"\n'}
    image = make_image(tmp_path, lambda _: None, files={**seeds, **rules})
    monkeypatch.setattr(Entry, "read", note)
    found = [row.partition(" ")[0] for row in image.find_unasked("access")]
    judged = [path for path in read if path.endswith("user-data")]
    assert len(judged) == MOST_JUDGED // SEED_COST // 32000
    assert set(found) == seeds.keys() - set(judged) | {"/etc/udev/rules.d/1.rules"}
    assert "/etc/udev/rules.d/1.rules" not in read


def test_no_mount_over_a_place_of_access_is_brought_by_a_package(tmp_path: Path) -> None:
    row = "/dev/sda1 /etc/ssh ext4 defaults 0 2\n"
    what = "mounted by fstab from /dev/sda1"
    listed = json.loads(FILES[DELIVERED])
    delivered = json.dumps({**listed, "access": {**listed.get("access", {}), "/etc/ssh": what}})
    image = make_image(tmp_path, lambda _: None, files={"/etc/fstab": row, DELIVERED: delivered})
    (row,) = image.find_unasked("access")
    assert row.startswith(f"/etc/ssh ({what}")


def test_a_program_of_login_is_held_by_what_the_build_wrote_down_not_by_lists_of_dpkg(tmp_path: Path) -> None:
    sums = hashlib.md5(b"another", usedforsecurity=False).hexdigest()
    files = {"/usr/bin/passwd": "another", "/var/lib/dpkg/info/passwd.md5sums": f"{sums}  usr/bin/passwd\n"}
    with pytest.raises(AssertionError, match=r"^/usr/bin/passwd \("):
        make_image(tmp_path, lambda _: None, files=files).check_asked("access")


@pytest.mark.parametrize(
    ("target", "is_found"),
    [
        ("libblas.so.3.1", False),  # The file itself is found.
        ("/etc/alternatives/blas", False),
        ("/srv/blas.so", True),
        ("/nowhere", True),
    ],
)
def test_a_link_of_a_library_leads_to_one_that_is_looked_at_or_of_a_package(
    tmp_path: Path, target: str, is_found: bool
) -> None:
    files = {
        "/usr/lib/arm-linux-gnueabihf/libblas.so.3.1": "",
        "/usr/lib/arm-linux-gnueabihf/blas/libblas.so.3": "",
        "/etc/alternatives/blas": "->/usr/lib/arm-linux-gnueabihf/blas/libblas.so.3",
        "/srv/blas.so": "",
        "/var/lib/dpkg/info/libblas3.list": "/lib/arm-linux-gnueabihf/blas/libblas.so.3\n",
        "/usr/lib/arm-linux-gnueabihf/libblas.so.3": f"->{target}",
    }
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    assert ("/usr/lib/arm-linux-gnueabihf/libblas.so.3" in found) is is_found
    assert "/usr/lib/arm-linux-gnueabihf/libblas.so.3.1" in found


@pytest.mark.parametrize(
    ("row", "is_found"),
    [
        ("/srv/p /etc/pam.d none bind 0 0", True),
        ("/srv/p /etc/pam.d proc noatime,rbind 0 0", True),
        ("LABEL=home /home ext4 defaults 0 0", True),
        ("/srv/e /etc none bind 0 0", True),
        ("tmpfs /boot/firmware tmpfs size=1M 0 0", True),
        ("tmpfs /var/cache/pictures tmpfs size=1M 0 0", False),
        ("proc /proc proc hidepid=2 0 0", False),
        ("LABEL=data /srv/data ext4 defaults 0 0", False),
        ("/swap none swap sw 0 0", False),
        ("/srv/h.img /home/pi ext4 loop 0 0", True),
        ("tmpfs /srv/x tmpfs x-systemd.requires=debug-shell.service 0 0", True),
        ("tmpfs /srv/x tmpfs nofail,x-systemd.wants=debug-shell.service,size=1M 0 0", True),
        ("tmpfs /srv/x tmpfs x-systemd.new-word 0 0", True),
        ("proc /proc proc x-systemd.requires=debug-shell.service 0 0", True),
        ("/srv/a none swap sw 0 0\n/srv/b none swap x-systemd.requires=debug-shell.service 0 0", True),
        (
            "tmpfs /srv/x tmpfs nofail,x-systemd.automount,x-systemd.device-timeout=5,x-systemd.after=a.service 0 0",
            False,
        ),
        ("/srv/a none swap sw 0 0\n/srv/b none swap sw 0 0", False),
    ],
)
def test_what_fstab_mounts_over_places_of_access_is_found(tmp_path: Path, row: str, is_found: bool) -> None:
    files = {"/etc/fstab": f"PARTUUID=1 / ext4 defaults 0 1\n{row}\n"}
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    source, where = row.rsplit("\n", maxsplit=1)[-1].split()[:2]
    assert ((source if where == "none" else where) in found) is is_found


def test_a_partition_of_the_recipe_starts_no_unit_either(tmp_path: Path) -> None:
    files = {"/etc/fstab": "PARTUUID=1 / ext4 defaults,x-systemd.requires=debug-shell.service 0 1\n"}
    assert "/" in make_image(tmp_path, lambda _: None, files=files).found("access")


@pytest.mark.parametrize(
    ("daemon", "is_found"),
    [
        ('{"data-root": "/srv/docker"}', True),
        ('{"data-root": "/srv/other/../docker/"}', True),
        ('{"data-root": "/srv/link"}', True),
        ('{"data-root": "/srv/empty"}', False),
        ('{"data-root": "/srv/none"}', False),
        ('{"data-root": 7}', False),
        ("{}", False),
    ],
)
def test_containers_in_an_image_need_a_line(tmp_path: Path, daemon: str, is_found: bool) -> None:
    files = {
        "/etc/docker/daemon.json": daemon,
        "/srv/docker/containers/x/config.v2.json": "{}",
        "/srv/link": "->docker",
    }
    image = make_image(tmp_path, put("/srv/empty", kind="directory"), files=files)
    place = json.loads(daemon).get("data-root")
    assert (place in image.found("access")) is is_found


@pytest.mark.parametrize("daemon", ["", "[1]", "{", '"/srv"'])
def test_a_configuration_of_docker_that_is_none_names_no_containers(tmp_path: Path, daemon: str) -> None:
    found = make_image(tmp_path, lambda _: None, files={"/etc/docker/daemon.json": daemon, "/srv/x": "x"}).found(
        "access"
    )
    assert "/srv" not in found


@pytest.mark.parametrize(
    ("path", "rows", "found"),
    [
        ("/etc/group", "root:x:0:root\ndocker:x:99:pi\ngpio:x:98:www-data", ""),
        ("/etc/group", "root:x:0:\nsudo:x:27:www-data,pi", "pi is in sudo; www-data is in sudo"),
        ("/etc/group", "root:x:0:\ndocker:x:99:mallory", "mallory is in docker"),
        ("/etc/group", "root:x:0:\nharmless:x:0:mallory", "mallory is in harmless"),
        ("/etc/group", "root:x:0:\ndisk:x:500:", "daemon is in disk"),
        ("/etc/subuid", "pi:100000:65536", ""),
        ("/etc/subuid", "pi:0:65536", "pi:0:65536"),
        ("/etc/subuid", "pi:400:200", "pi:400:200"),
        ("/etc/subuid", "pi:100000:65536\npi:900:5", "pi:900:5"),
        ("/etc/subuid", "pi:1000:1", "pi:1000:1"),
        ("/etc/subuid", "pi: 0:1", "pi: 0:1"),
        ("/etc/subgid", "pi:0:1:2", "pi:0:1:2"),
        ("/etc/subgid", "pi:100000:65536", ""),
    ],
)
def test_who_may_become_root_by_a_group_or_numbers_needs_a_line(
    tmp_path: Path, path: str, rows: str, found: str
) -> None:
    users = "root:x:0:0::/root:/bin/sh\ndaemon:x:499:500::/:/bin/false\npi:x:1000:1000::/home/pi:/bin/zsh\n"
    image = make_image(tmp_path, lambda _: None, files={"/etc/passwd": users, path: rows + "\n"})
    assert image.found("access").get(path, "") == found
    allowed = make_image(tmp_path, lambda _: None, allow("access", path), files={"/etc/passwd": users, path: rows})
    assert path not in " ".join(allowed.find_unasked("access"))


@pytest.mark.parametrize(
    ("path", "content", "is_found"),
    [
        ("/etc/harbour.conf", "x", True),
        ("/etc/harbour/harbour.conf", "x", True),
        ("/etc/exports.d/harbour.exports", "x", True),
        ("/etc/nginx/nginx.conf", "of the package", False),
        ("/etc/nginx/nginx.conf", "another", True),
        ("/etc/nginx/sites-enabled/x", "x", True),
        ("/etc/nginx/sites-enabled/y", "->../sites-available/y", True),
        ("/usr/lib/nginx/module.conf", "as dpkg has it", False),
        ("/usr/lib/harbour/x", "x", True),
        ("/usr/local/lib/harbour/x", "x", False),
        ("/usr/local/lib/harbour/x.so", "x", True),
        ("/usr/bin/python3", "->python3.13", False),
        ("/usr/bin/python3", "->/srv/p", True),
        ("/usr/local/bin/harbour", "x", False),
        ("/usr/local/bin/nginx", "x", True),  # It comes before that of the package.
        ("/root/.bashrc", "passwd -d root", True),
        ("/home/pi/.profile", "passwd -d root", True),
        ("/home/pi/notes", "x", False),
    ],
)
def test_a_part_of_the_system_is_of_a_package_or_of_the_build(
    tmp_path: Path, path: str, content: str, is_found: bool
) -> None:
    delivered = {
        **json.loads(FILES[DELIVERED]),
        "access": {
            "/usr/bin/passwd": NOTHING,
            "/etc/nginx/nginx.conf": hashlib.sha256(b"of the package").hexdigest(),
            "/usr/bin/python3": "-> python3.13",
        },
    }
    files = {
        DELIVERED: json.dumps(delivered),
        "/var/lib/dpkg/info/nginx.list": "/etc/nginx\n/etc/nginx/nginx.conf\n/usr/lib/nginx\n/usr/sbin/nginx\n",
        "/var/lib/dpkg/info/nginx.md5sums": "0  usr/lib/nginx/module.conf\n",
    }
    image = make_image(tmp_path, lambda _: None, files={**files, path: content})
    assert [row.partition(" (")[0] for row in image.find_unasked("access")] == [path] * is_found


@pytest.mark.parametrize(
    ("path", "target", "is_found"),
    [
        ("harbour.service", "/srv/harbour.service", True),
        ("harbour.service", "own.service", False),
        # A whole unit may start a program of the board's own, a part of another's may not.
        ("getty@tty1.service.d/x.conf", "../own.service", True),
        ("own.timer", "own.service", True),
    ],
)
def test_a_file_is_judged_by_the_name_of_the_link_to_it(tmp_path: Path, path: str, target: str, is_found: bool) -> None:
    units = "/etc/systemd/system"
    files = {
        f"{units}/own.service": "[Service]\nExecStart=/opt/own\n",
        "/srv/harbour.service": "[Service]\nExecStart=/usr/bin/passwd -d root\n",
        f"{units}/{path}": f"->{target}",
    }
    found = make_image(tmp_path, lambda _: None, files=files).found("access")
    assert (f"{units}/{path}" in found) is is_found
    assert f"{units}/own.service" not in found


def test_a_shell_behind_two_links_is_found(tmp_path: Path) -> None:
    files = {
        "/usr/lib/systemd/system/debug-shell.service": "[Service]\nExecStart=/opt/x\n",
        "/srv/a.service": "->/usr/lib/systemd/system/debug-shell.service",
        "/etc/systemd/system/x.service": "->/srv/a.service",
    }
    assert "/etc/systemd/system/x.service" in make_image(tmp_path, lambda _: None, files=files).found("access")


@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/usr/local/sbin/nginx", True),
        ("/usr/local/bin/nginx", True),
        ("/usr/local/bin/harbour", False),
        ("/usr/local/lib/docker/cli-plugins/docker-compose", True),
        ("/usr/local/libexec/docker/cli-plugins/docker-compose", True),
        ("/usr/local/lib/docker/cli-plugins/docker-harbour", False),
    ],
)
@pytest.mark.parametrize("content", ["x", "->/srv/x"])
def test_a_program_that_comes_before_one_of_a_package_is_found(
    tmp_path: Path, path: str, content: str, is_found: bool
) -> None:
    listed = "/usr/sbin/nginx\n/usr/libexec/docker/cli-plugins/docker-compose\n"
    files = {"/var/lib/dpkg/info/nginx.list": listed, "/srv/x": "x", path: content}
    assert (path in make_image(tmp_path, lambda _: None, files=files).found("access")) is is_found
