#!/bin/sh
# Makes the Python environment in the folder $1 with the interpreter $2, and installs the versions
# of the lock file $3 and of requirements-build.lock, checked by hash.
set -eu
folder=$1
python=$2
lock=$3

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || {
    echo "Python 3.11 or later is needed and $python is not: make PYTHON=/path/to/python3.11" >&2
    exit 1
}
if ! [ -x "$folder/bin/pip" ]; then
    echo "Making a Python environment in $folder"
    "$python" -m venv --clear "$folder"
fi
# pyscard's build looks for swig among the programs.
PATH=$(cd "$folder/bin" && pwd):$PATH
export PATH
install() {
    # What is built is built with the tools of requirements-build.lock: pip would otherwise fetch
    # others, whose hashes nobody knows.
    "$folder/bin/pip" install --quiet --disable-pip-version-check --no-input --no-build-isolation \
        --no-deps "$@"
}
echo "Installing the packages of $lock (a minute the first time)"
install --require-hashes --only-binary :all: --requirement requirements-build.lock
install --require-hashes --requirement "$lock"
install --editable .
