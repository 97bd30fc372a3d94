"""Where the provider is, and what it tells of itself (OpenID Connect Discovery 1.0). Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cloudcard_tools.simulate.cis2.levels import LEVELS

REALM = "/openam/oauth2/realms/root/realms/NHSIdentity/realms/Healthcare"
AUTHORIZE = f"{REALM}/authorize"
TOKEN = f"{REALM}/access_token"
USERINFO = f"{REALM}/userinfo"
KEYS = f"{REALM}/connect/jwk_uri"
END_SESSION = f"{REALM}/connect/endSession"
DISCOVERY = f"{REALM}/.well-known/openid-configuration"
CONTINUE = f"{REALM}/continue"
ROLE = f"{REALM}/role"
CODE = "/log-in/code"
CHALLENGE = "/log-in/challenge"
CARD = "/log-in/card"
PHONE = "/log-in/phone"
PASSCODE = "/log-in/passcode"

HTTPS_PORT = 443
SCOPES = (
    *("openid", "profile", "email", "nhsperson", "nationalrbacaccess", "associatedorgs"),
    *("organisationalmemberships", "professionalmemberships", "selectedrole", "changedrole"),
)


@dataclass(frozen=True, slots=True)
class Places:
    """The two addresses of the provider: its own, and that which asks for a card's certificate."""

    host: str
    port: int
    card_port: int

    @property
    def issuer(self) -> str:
        """The name of the provider, which has its port even if that is the usual one."""
        return f"https://{self.host}:{self.port}{REALM}"

    @property
    def origin(self) -> str:
        """The beginning of all addresses, as browsers write it."""
        return self._origin(self.port)

    @property
    def hosts(self) -> tuple[str, ...]:
        """What requests can name as host."""
        return tuple(
            name
            for port in (self.port, self.card_port)
            for name in (f"{self.host}:{port}", self._origin(port).removeprefix("https://"))
        )

    def at(self, path: str) -> str:
        """The address of a path."""
        return self.origin + path

    def at_card(self, path: str) -> str:
        """The address of a path where a card's certificate is asked for."""
        return self._origin(self.card_port) + path

    def _origin(self, port: int) -> str:
        return f"https://{self.host}" + ("" if port == HTTPS_PORT else f":{port}")


def discovery(places: Places) -> dict[str, object]:
    """The provider's metadata."""
    return {
        "issuer": places.issuer,
        "authorization_endpoint": places.at(AUTHORIZE),
        "token_endpoint": places.at(TOKEN),
        "userinfo_endpoint": places.at(USERINFO),
        "jwks_uri": places.at(KEYS),
        "end_session_endpoint": places.at(END_SESSION),
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"],
        "token_endpoint_auth_signing_alg_values_supported": ["RS512"],
        "code_challenge_methods_supported": ["S256"],
        "acr_values_supported": list(LEVELS),
        "scopes_supported": list(SCOPES),
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "uid"),
            *("id_assurance_level", "authentication_assurance_level", "selected_roleid", "name"),
            *("given_name", "family_name", "email", "nhsid_useruid", "nhsid_nrbac_roles"),
            *("nhsid_user_orgs", "nhsid_org_memberships"),
        ],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
