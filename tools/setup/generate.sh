#!/bin/sh
# Generates Python code and type stubs from the schema in proto/ into the new folder $2. $1 is the
# interpreter, as an
# absolute path.
set -eu
python=$1
target=$2

# The generators of types are beside the interpreter.
PATH=$(dirname "$python"):$PATH
export PATH
rm -rf "$target"
mkdir -p "$target"
target=$(cd "$target" && pwd)
cd proto
find cloudcard -name '*.proto' | LC_ALL=C sort | xargs "$python" -m grpc_tools.protoc -I . \
    --python_out="$target" --mypy_out="quiet:$target" \
    --grpc_python_out="$target" --mypy_grpc_out="quiet:$target"
