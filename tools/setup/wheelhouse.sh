#!/bin/sh
# Fills the folder $1 with the Python packages of which `make deb` makes the package, for Debian's
# own Python. Each file is one of the lock files', by its hash. Quick if the folder has them already.
set -eu
folder=$1
EXTRAS="reader pcsc" # of pyproject.toml: what a workstation needs
PYTHON=/usr/bin/python3

mkdir -p "${folder%/*}"
# shellcheck disable=SC2086 # extras are separate words
"$PYTHON" tools/setup/part_of_lock.py $EXTRAS >"$folder.lock.new"
complete=$({ "$PYTHON" --version; cat "$folder.lock.new" requirements-build.lock; } | sha256sum)
if [ "$complete" != "$(cat "$folder/complete" 2>/dev/null)" ]; then
    echo "Fetching the Python packages of the Debian package"
    rm -rf "$folder"
    "$PYTHON" -m venv "$folder/tools"
    pip() {
        "$folder/tools/bin/pip" "$@" --quiet --disable-pip-version-check --no-input --no-deps \
            --require-hashes
    }
    pip download --only-binary :all: --dest "$folder" --requirement requirements-build.lock
    pip install --only-binary :all: --no-index --find-links "$folder" \
        --requirement requirements-build.lock
    # pip asks a package that comes as source for its name; it is built by `make deb`.
    pip download --no-build-isolation --dest "$folder" --requirement "$folder.lock.new"
    rm -r "$folder/tools"
    cp "$folder.lock.new" "$folder/reader.lock"
    echo "$complete" >"$folder/complete"
fi
rm "$folder.lock.new"
