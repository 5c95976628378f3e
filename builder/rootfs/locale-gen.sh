#!/bin/sh
# Written by Boardwright. cloud-init calls this with the name of the locale in user-data. Debian's own program, in
# the same directory, creates the locales of /etc/locale.gen and ignores names.
set -e
for name in "$@"; do
    line=$(awk -v name="$name" '$1 == name { print; exit }' /usr/share/i18n/SUPPORTED)
    if [ -n "$line" ] && ! grep -qxF "$line" /etc/locale.gen; then
        printf '%s\n' "$line" >>/etc/locale.gen
    fi
done
# Keep existing locales: creating one takes a minute on a small board.
exec /usr/sbin/locale-gen.debian ${1:+--keep-existing}
