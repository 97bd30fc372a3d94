"""gRPC servicers: protobuf to model and back, nothing more."""
