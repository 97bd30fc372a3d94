"""A relying party of OpenID Connect that others wrote, from PyPI."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from urllib.parse import parse_qsl, urlsplit

from idpyoidc.client.oauth2.stand_alone_client import backchannel_logout
from idpyoidc.client.rp_handler import RPHandler

from support.simulators import CLIENT, RETURN

SECONDS = 10
SCOPES = ["openid", "profile", "nationalrbacaccess", "selectedrole"]


@dataclass
class Party:
    """The relying party, with a key of its own."""

    issuer: str
    trust: Path
    returns: str = RETURN
    """Where people come back to."""
    handler: RPHandler = field(init=False)

    def __post_init__(self) -> None:
        self.handler = RPHandler(
            base_url="http://localhost:9000",
            client_configs={self.issuer: self._configuration()},
            key_conf={"key_defs": [{"type": "RSA", "use": ["sig"]}]},
            httpc_params={"verify": str(self.trust), "timeout": SECONDS},
        )

    @property
    def jwks(self) -> dict[str, object]:
        return dict(self.handler.keyjar.export_jwks())

    def begin(self, **asked: object) -> str:
        """Where somebody is sent."""
        return str(self.handler.begin(self.issuer, req_args={"scope": SCOPES, **asked}))

    def finish(self, returned: str) -> dict[str, object]:
        """What the party knows when somebody returns to it."""
        response = dict(parse_qsl(urlsplit(returned).query))
        return dict(self.handler.finalize(self.issuer, response))

    def told(self, body: bytes) -> str:
        """The state of the session that a logout token ends. Raises what it raises."""
        return str(backchannel_logout(self.handler.issuer2rp[self.issuer], request=body))

    def _configuration(self) -> dict[str, object]:
        service = "idpyoidc.client.oidc"
        return {
            "issuer": self.issuer,
            "client_id": CLIENT,
            "client_type": "oidc",
            "redirect_uris": [self.returns],
            "client_authn_methods": ["private_key_jwt", "bearer_header"],
            "preference": {
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS512"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "response_types_supported": ["code"],
                "scopes_supported": SCOPES,
            },
            "services": {
                name: {"class": f"{service}.{path}"}
                for name, path in (
                    ("discovery", "provider_info_discovery.ProviderInfoDiscovery"),
                    ("authorization", "authorization.Authorization"),
                    ("accesstoken", "access_token.AccessToken"),
                    ("userinfo", "userinfo.UserInfo"),
                    ("end_session", "end_session.EndSession"),
                )
            },
            "add_ons": {
                "pkce": {
                    "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                    "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
                }
            },
        }


@contextmanager
def back_channel(heard: Queue[bytes]) -> Iterator[str]:
    """The address of a party that is told of logging out."""

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.put(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Told) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/back-channel"
        server.shutdown()
        thread.join()
