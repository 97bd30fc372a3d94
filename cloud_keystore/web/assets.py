"""The files that pages need: styles, scripts, pictures. They are read once, at the start."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from importlib.metadata import version as version_of
from pathlib import Path
from types import MappingProxyType

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

FOLDER = Path(__file__).parent / "assets"
TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css",
        ".js": "text/javascript",
        ".svg": "image/svg+xml",
        ".png": "image/png",
        ".webmanifest": "application/manifest+json",
    }
)
# What the page that is kept without a network has besides files
TEMPLATES = tuple(
    Path(__file__).parent / "templates" / each for each in ("base.html", "authenticator.html")
)
SCRIPTS = "authenticator/"
WORKER = f"{SCRIPTS}worker.js"
# In the worker, which keeps the files of one version
UNVERSIONED, UNLISTED = b"@version@", b"@scripts@"
VERSION = "Cloudcard-Version"  # the field by which it knows of which one a file is
WORKER_SCOPE = "/authenticator"
# A cache asks each time, so that the parts of a page are always of one version.
CACHE = "public, no-cache"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent."""

    body: bytes
    packed: bytes  # the same, by gzip; empty if that is no smaller
    media_type: str

    @classmethod
    def of(cls, path: Path) -> Asset:
        """A file."""
        return cls.made(path.read_bytes(), TYPES[path.suffix])

    @classmethod
    def made(cls, body: bytes, media_type: str) -> Asset:
        """What a file has, which is packed once."""
        packed = gzip.compress(body, mtime=0)
        return cls(body, packed if len(packed) < len(body) else b"", media_type)

    @property
    def tag(self) -> str:
        """What caches know it by, packed or not."""
        return f'W/"{sha256(self.body).hexdigest()[:32]}"'


@dataclass(frozen=True, slots=True)
class Assets:
    """Files by their paths below /assets/."""

    files: Mapping[str, Asset]
    version: str
    """What changes when any of them does, or the page that needs them."""
    product: str
    """The version of the product, as people know it."""

    @classmethod
    def read(cls, folder: Path = FOLDER) -> Assets:
        """All files of a type that browsers are sent."""
        files = {
            path.relative_to(folder).as_posix(): Asset.of(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in TYPES
        }
        whole = "".join(f"{path} {asset.tag}\n" for path, asset in files.items()).encode()
        product = version_of("cloudcard")
        whole += b"".join(each.read_bytes() for each in TEMPLATES) + product.encode()
        version = sha256(whole).hexdigest()[:16]
        if (worker := files.get(WORKER)) is not None:
            own = (each for each in files if each.startswith(SCRIPTS) and each != WORKER)
            scripts = " ".join(each for each in own if each.endswith(".js"))
            body = worker.body.replace(UNVERSIONED, version.encode())
            body = body.replace(UNLISTED, scripts.encode())
            files[WORKER] = Asset.made(body, worker.media_type)
        return cls(files, version, product)

    async def serve(self, request: Request) -> Response:
        """The file of a request; raises HTTPException if there is none."""
        path = str(request.path_params["path"])
        found = self.files.get(path)
        if found is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        fields = {
            "ETag": found.tag,
            "Cache-Control": CACHE,
            "Vary": "Accept-Encoding",
            VERSION: self.version,
        }
        if path == WORKER:
            fields["Service-Worker-Allowed"] = WORKER_SCOPE
        if request.headers.get("if-none-match") == found.tag:
            return Response(None, HTTPStatus.NOT_MODIFIED, fields)
        if found.packed and "gzip" in request.headers.get("accept-encoding", ""):
            packed = {**fields, "Content-Encoding": "gzip"}
            return Response(found.packed, HTTPStatus.OK, packed, found.media_type)
        return Response(found.body, HTTPStatus.OK, fields, found.media_type)


def packed(request: Request, page: Response) -> Response:
    """A page that says the same to everybody, by gzip if the browser takes that. The length of one
    with a secret would tell of it.
    """
    page.headers["Vary"] = "Accept-Encoding"
    if "gzip" in request.headers.get("accept-encoding", ""):
        page.body = gzip.compress(page.body, mtime=0)
        page.headers["Content-Encoding"] = "gzip"
        page.headers["Content-Length"] = str(len(page.body))
    return page
