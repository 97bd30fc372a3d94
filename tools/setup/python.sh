#!/bin/sh
# Makes the Python environment in the folder $1 with the interpreter $2, and installs the versions
# of the
# lock file $3, checked by hash.
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
echo "Installing the packages of $lock (a minute the first time)"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-input \
    --require-hashes --requirement "$lock"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-input --no-deps --editable .
