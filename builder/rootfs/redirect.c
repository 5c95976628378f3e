/* SPDX-License-Identifier: MIT
 *
 * Run a program of a foreign architecture: a binfmt_misc interpreter with the flags P and F.
 *
 * The kernel starts it as `redirect PATH ARGV0 ARGS...`. If the twin tree has a native build of the same file, the
 * twin runs; else the static qemu-user runs the program. Both get the caller's ARGV0 and ARGS, so programs with
 * several names (sh, gzip, systemctl) behave as they were called. builder/rootfs/twins.py decides which programs
 * have no twin, and leaves them out of the tree.
 *
 * Symbolic links are resolved first, as in the target: /bin/sh may be dash or bash there, and /usr/bin/awk leads
 * through /etc/alternatives. The program allocates nothing that must be freed.
 *
 * Build: gcc -static -O2 -Wall -Wextra -o redirect redirect.c
 */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACE "/.boardwright-twins"
#define QEMU PLACE "/qemu"

enum { CANNOT_RUN = 126 };

/* Twins that run only if an argument contains one of the words, or if the file `unless` exists. Python's twin has only
 * its built-in compiled modules, so it only runs the work of py3compile. dpkg's twin reports the native architecture
 * unless twins.py could overwrite it. */
static const struct {
	const char *pattern;
	const char *unless;
	const char *words[8];
} limited[] = {
	{ "/usr/bin/dpkg", PLACE "/dpkg-knows-the-target", { "--compare-versions", "--validate-version" } },
	{ "/usr/bin/python3.*", NULL,
	  { "py3compile", "py3clean", "py_compile", "compileall", "sys.implementation.cache_tag",
	    "importlib.util.MAGIC_NUMBER" } },
};

static int has_word(char **args, const char *const *words)
{
	for (; *args; args++)
		for (const char *const *word = words; *word; word++)
			if (strstr(*args, *word))
				return 1;
	return 0;
}

static int may_serve(const char *program, char **args)
{
	for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
		if (fnmatch(limited[i].pattern, program, 0) == 0)
			return (limited[i].unless && access(limited[i].unless, F_OK) == 0) || has_word(args, limited[i].words);
	return 1;
}

/* Returns only if there is no twin, or the kernel refuses to run it. Then qemu must run the program. */
static void run_twin(const char *path, char **argv)
{
	char program[PATH_MAX];
	char twin[sizeof(PLACE) + PATH_MAX];

	if (!realpath(path, program) || !may_serve(program, argv + 1))
		return;
	snprintf(twin, sizeof(twin), "%s%s", PLACE, program);
	execv(twin, argv);
}

static void run_qemu(const char *path, int argc, char **argv)
{
	char *qemu_argv[argc + 4];

	qemu_argv[0] = (char *)QEMU;
	qemu_argv[1] = (char *)"-0";
	qemu_argv[2] = argv[0];
	qemu_argv[3] = (char *)path;
	memcpy(&qemu_argv[4], &argv[1], argc * sizeof(char *)); /* the closing NULL too */
	execv(QEMU, qemu_argv);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: redirect PATH ARGV0 [ARGS...]\n");
		return CANNOT_RUN;
	}
	run_twin(argv[1], argv + 2);
	run_qemu(argv[1], argc - 2, argv + 2);
	fprintf(stderr, "redirect: cannot run %s with %s: %s\n", argv[1], QEMU, strerror(errno));
	return CANNOT_RUN;
}
