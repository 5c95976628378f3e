#!/bin/sh
# Written by Boardwright. cloud-init calls this with the name of the locale that user-data asks for; Debian's own
# program, which is beside it, makes those of /etc/locale.gen and does not look at names.
set -e
for name in "$@"; do
    line=$(awk -v name="$name" '$1 == name { print; exit }' /usr/share/i18n/SUPPORTED)
    if [ -n "$line" ] && ! grep -qxF "$line" /etc/locale.gen; then
        printf '%s\n' "$line" >>/etc/locale.gen
    fi
done
# What is there already stays: to make a locale takes a minute on a small board.
exec /usr/sbin/locale-gen.debian ${1:+--keep-existing}
