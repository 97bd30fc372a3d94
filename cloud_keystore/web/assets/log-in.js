// Log-in by passkeys, of operators and of holders, another password by one, and adding one. The authenticator's answer goes into a form, which
// the browser then sends as any other.
import { decode, encode } from "./authenticator/bytes.js";
import { at, say } from "./authenticator/screen.js";

const ALGORITHMS = [-7, -8, -257]; // ES256, EdDSA, RS256 (RFC 9053, 2; RFC 8812)
const AGAIN = "Load this page again, or log in another way.";
const TOLD = {
  NotAllowedError: "No passkey has answered: it was cancelled, took too long, or there is none for this page.",
  InvalidStateError: "This authenticator has a passkey of yours already.",
  NotSupportedError: "This authenticator cannot be used here: it has to know who you are, by PIN, face or finger.",
};

class Failed extends Error {}

// What the keystore wants to know from the authenticator.
async function asked(form) {
  const said = new URLSearchParams();
  const token = form.elements.form_token;
  if (token !== undefined) said.set("form_token", token.value);
  if (form.dataset.says !== undefined) for (const name of form.dataset.says.split(" ")) said.set(name, form.elements.namedItem(name).value);
  let response;
  try {
    response = await fetch(form.dataset.asked, { method: "POST", body: said, cache: "no-store", redirect: "error" });
  } catch {
    throw new Failed(`The keystore cannot be reached, or you are logged out. ${AGAIN}`);
  }
  if (response.status === 429) throw new Failed("Too many requests. Wait a minute, then try again.");
  if (!response.ok) throw new Failed(`The keystore does not answer now. ${AGAIN}`);
  const wanted = await response.json();
  if (wanted.origin !== location.origin) throw new Failed(`Passkeys work at ${wanted.origin} alone: open the page there.`);
  return wanted;
}

// Those of whom the keystore knows the ids; without any, whoever has one for this page can answer.
function listed(ids = []) {
  return ids.map((each) => ({ type: "public-key", id: decode(each) }));
}

function fill(form, values) {
  for (const [name, value] of Object.entries(values)) form.elements[name].value = encode(new Uint8Array(value));
  form.submit();
}

async function logIn(form) {
  const wanted = await asked(form);
  const challenge = decode(wanted.challenge);
  const { rawId, response } = await navigator.credentials.get({
    publicKey: { challenge, rpId: wanted.rp_id, allowCredentials: listed(wanted.allowed), userVerification: "required" },
  });
  fill(form, {
    challenge,
    credential_id: rawId,
    user_handle: response.userHandle ?? new ArrayBuffer(0),
    authenticator_data: response.authenticatorData,
    client_data: response.clientDataJSON,
    signature: response.signature,
  });
}

async function add(form) {
  const wanted = await asked(form);
  const challenge = decode(wanted.challenge);
  const { response } = await navigator.credentials.create({
    publicKey: {
      challenge,
      rp: { id: wanted.rp_id, name: "cloudcard" },
      user: { id: decode(wanted.user_handle), name: wanted.name, displayName: wanted.name },
      pubKeyCredParams: ALGORITHMS.map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: listed(wanted.present),
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
    },
  });
  fill(form, { challenge, attestation_object: response.attestationObject, client_data: response.clientDataJSON });
}

function offer(id, act) {
  const form = at(id);
  if (form === null) return;
  form.hidden = false;
  at("without-scripts").hidden = true;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    try {
      if (!window.PublicKeyCredential) throw new Failed("This browser has no passkeys, or this page is not https.");
      await act(form);
    } catch (error) {
      if (error instanceof Failed) say(error.message);
      else if (error instanceof DOMException) say(TOLD[error.name] ?? `The passkey did not answer (${error.name}). ${AGAIN}`);
      else throw error;
    }
  });
}

offer("passkey-form", logIn);
offer("new-passkey-form", add);
