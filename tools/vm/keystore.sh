#!/bin/sh
# Makes a folder with all that Debian's Python of a guest needs to be keystore, registration authority
# and phone: `keystore.sh FOLDER VERSION`, where VERSION is that Python's, such as 3.13. The packages
# are those of the lock file; a folder that has them is left as it is, but for our own code.
set -eu
folder=$1
version=$2
PLATFORMS="manylinux_2_34 manylinux_2_28 manylinux_2_27 manylinux_2_17 manylinux2014 manylinux_2_12"
OURS="card_os private_files private_keys reader_bridge cloud_keystore tools/cloudcard_tools proto/gen/cloudcard"

mkdir -p "$folder"
.venv/bin/python tools/setup/part_of_lock.py keystore authenticator ra reader >"$folder/new"
if ! cmp --silent "$folder/new" "$folder/lock"; then
    rm -rf "$folder/python"
    platforms=$(for each in $PLATFORMS; do echo "--platform=${each}_$(uname -m)"; done)
    # shellcheck disable=SC2086 # several options
    .venv/bin/pip install --quiet --quiet --disable-pip-version-check --no-input --no-deps --no-compile \
        --require-hashes --only-binary :all: --implementation cp --python-version "$version" \
        $platforms --target "$folder/python" --requirement "$folder/new"
    mv "$folder/new" "$folder/lock"
fi
for each in $OURS; do
    rm -rf "$folder/python/${each##*/}"
    cp -R "$each" "$folder/python"
done
