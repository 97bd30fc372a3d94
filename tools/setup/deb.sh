#!/bin/sh
# Builds the workstation's Debian package for the release that this is, into the folder $1, from the
# Python packages in the folder $2 (wheelhouse.sh). Needs no network. The same sources give the same
# package.
set -eu
target=$1
wheelhouse=$2
. /etc/os-release

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
source=$work/cloudcard
mkdir "$source"
# What git knows or would take; where git does not know this folder, such as in the tree of make
# trixie, all but what is made here.
files() {
    if git -c safe.directory="$PWD" rev-parse --quiet --is-inside-work-tree >/dev/null 2>&1; then
        git -c safe.directory="$PWD" ls-files -z --cached --others --exclude-standard
    else
        find . -mindepth 1 \( -path ./.venv -o -path ./.cache -o -path ./build -o -path ./dist \
            -o -name __pycache__ -o -name '.*_cache' \) -prune -o ! -type d -print0
    fi
}
files | xargs -0 sh -c 'for file; do [ ! -e "$file" ] || printf "%s\0" "$file"; done' sh |
    tar --create --null --files-from - |
    tar --extract --no-same-owner --directory "$source"
ln -s drivers/linux/debian "$source/debian"
cp -R "$wheelhouse" "$source/wheelhouse"

cd "$source"
# The package of a later release counts as newer, and a system that is upgraded takes it.
sed -i "1s/ (\([^)]*\)) unstable;/ (\1+deb$VERSION_ID) $VERSION_CODENAME;/" debian/changelog
LC_ALL=C.UTF-8 dpkg-buildpackage --build=binary --no-sign --no-pre-clean -rfakeroot >"$work/log" 2>&1 || {
    tail -n 40 "$work/log" >&2
    exit 1
}
cd - >/dev/null
mkdir -p "$target"
for package in "$work"/*.deb; do
    cp "$package" "$target"
    echo "$target/${package##*/}"
done
