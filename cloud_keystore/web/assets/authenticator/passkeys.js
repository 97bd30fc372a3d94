// A passkey as the key of this phone: whoever decides shows by finger, face or the phone's PIN that it
// is theirs (docs/protocol.md, "Enrolment" and "Approvals").
import { concat, decode, encode, sha256, utf8 } from "./bytes.js";
import { passkeyTerms, Refused } from "./calls.js";

const ENROLMENT_DOMAIN = utf8("cloudcard enrolment v1\0");
const ALGORITHMS = [-7, -8, -257]; // ES256, EdDSA, RS256 (RFC 9053, RFC 8812)
const bytes = (buffer) => new Uint8Array(buffer);

export class NoPasskey extends Error {}

export const canMake = () => "PublicKeyCredential" in window;

// What browsers say of all that can go wrong is little: whoever asks must not learn more.
async function asked(work, text) {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new NoPasskey(text);
  }
}

async function termsOf(secret) {
  try {
    return await passkeyTerms({ token_secret: encode(secret) });
  } catch (error) {
    // A keystore from before pages had passkeys does not know the call.
    const isUnknown = error instanceof Refused && [401, 404].includes(error.status);
    throw isUnknown ? new NoPasskey("Your keystore does not offer this yet: go on without it.") : error;
  }
}

// A passkey for a token and the certificate request of this browser, and what the keystore gets of it.
export async function made(secret, csr) {
  const terms = await termsOf(secret);
  if (terms.origin !== location.origin) {
    throw new NoPasskey(`Passkeys are made at ${terms.origin} alone: open this page there, or go on without one.`);
  }
  const statement = concat(ENROLMENT_DOMAIN, await sha256(secret), await sha256(csr));
  const credential = await asked(navigator.credentials.create({
    publicKey: {
      rp: { id: terms.rp_id, name: "cloudcard" },
      user: { id: decode(terms.user_handle), name: terms.user_name, displayName: terms.user_name },
      challenge: await sha256(statement),
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
      authenticatorSelection: { userVerification: "required" },
      attestation: "direct",
    },
  }), "No passkey was made. Try again, or go on without one.");
  const { response } = credential;
  const transports = response.getTransports?.() ?? [];
  return {
    kept: { id: bytes(credential.rawId), rpId: terms.rp_id, transports },
    said: {
      attestation_object: encode(bytes(response.attestationObject)),
      client_data: encode(bytes(response.clientDataJSON)),
      transports,
    },
  };
}

// The passkey's answer to a statement: its signature, and what else it has signed.
export async function answered(passkey, statement) {
  const credential = await asked(navigator.credentials.get({
    publicKey: {
      challenge: await sha256(statement),
      rpId: passkey.rpId,
      allowCredentials: [{ type: "public-key", id: passkey.id, transports: passkey.transports }],
      userVerification: "required",
    },
  }), "It needs your finger, face or PIN. Nothing was decided: try again.");
  const { response } = credential;
  return {
    signature: encode(bytes(response.signature)),
    assertion: {
      authenticator_data: encode(bytes(response.authenticatorData)),
      client_data: encode(bytes(response.clientDataJSON)),
      credential_id: encode(bytes(credential.rawId)),
    },
  };
}
