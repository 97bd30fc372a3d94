#!/bin/sh
# Generates Python and its types from the schema in proto/ into the new folder $2; $1 is the interpreter.
set -eu
python=$1
target=$2

PATH=$(dirname "$python"):$PATH # the generators of types stand beside the interpreter
export PATH
rm -rf "$target"
mkdir -p "$target"
target=$(cd "$target" && pwd)
cd proto
find cloudcard -name '*.proto' | LC_ALL=C sort | xargs "$python" -m grpc_tools.protoc -I . \
    --python_out="$target" --mypy_out="quiet:$target" \
    --grpc_python_out="$target" --mypy_grpc_out="quiet:$target"
