"""All services of the schema, and for whom each is, so that tests leave none out."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor

PROTO = Path(__file__).parents[2] / "proto"
ENROLMENT = "cloudcard.enrolment.v1.EnrolmentService"  # for whoever has a token
ROLES = {  # by package; the others are for workstations
    "cloudcard.registry.v1": "operator",
    "cloudcard.authenticator.v1": "device",
    "cloudcard.audit.v1": "auditor",
}


def _file(path: Path) -> FileDescriptor:
    name = ".".join(path.relative_to(PROTO).with_suffix("").parts)
    found = import_module(f"{name}_pb2").DESCRIPTOR
    assert isinstance(found, FileDescriptor)
    return found


SERVICES: list[ServiceDescriptor] = [
    service
    for path in sorted(PROTO.glob("cloudcard/*/*/*.proto"))
    for service in _file(path).services_by_name.values()
]
METHODS: list[MethodDescriptor] = [method for service in SERVICES for method in service.methods]


def role_of(service: ServiceDescriptor) -> str:
    """Who may call a service."""
    return ROLES.get(service.file.package, "workstation")
