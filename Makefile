.PHONY: proto
proto:
	rm -rf proto/gen && mkdir -p proto/gen
	.venv/bin/python -m grpc_tools.protoc -I proto --python_out=proto/gen --mypy_out=proto/gen --grpc_python_out=proto/gen --mypy_grpc_out=proto/gen $$(cd proto && find cloudcard -name '*.proto' | sort)
