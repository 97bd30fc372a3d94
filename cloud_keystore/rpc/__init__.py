"""gRPC servicers, which translate between protobuf and model, and the door that they share."""
