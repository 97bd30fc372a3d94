// Makes this browser a device: by a token, and a key of its own.
import { decode, encode, hex, sha256 } from "./bytes.js";
import { enrol, exchange } from "./calls.js";
import { certificateRequest } from "./der.js";
import { keep, kept } from "./keeping.js";
import { made } from "./passkeys.js";
import { newKey } from "./protocol.js";

const PIN_BYTES = 32, SECRET_BYTES = 16; // of a token: what programs pin, and the secret

export class NoToken extends Error {}

const TOKEN = /cc1\.([A-Za-z0-9_-]{64})(@[^#?]*)?$/;

// The token in the text of an invitation's QR code, be it the token alone or a link; else nothing.
export const tokenIn = (text) => TOKEN.exec(text.trim())?.[0] ?? "";

const SHORT = /^[BCDFGHJKLMNPQRSTVWXZ]{12}$/; // letters that somebody has read out

// The token that a short code stands for; other texts stay.
async function longOf(text) {
  const letters = text.toUpperCase().replaceAll(/[\s-]/g, "");
  if (!SHORT.test(letters)) return text;
  const { token } = await exchange(letters);
  if (token === "") throw new NoToken("This code is wrong, was used or has ended. Check the letters, or ask for another.");
  return token;
}

function secretOf(token) {
  const found = TOKEN.exec(token.trim().replaceAll(/\s/g, ""));
  const raw = found === null ? new Uint8Array() : decode(found[1]);
  if (raw.length !== PIN_BYTES + SECRET_BYTES) {
    throw new NoToken("This is not the code: it begins with cc1. Copy all of it, or open the link again.");
  }
  return raw.slice(PIN_BYTES);
}

// The device, which is kept. Key and request are kept before the keystore is asked: if its answer is
// lost, the same token gives the same device again. So is a passkey, if its holder approves by one.
export async function enrolled(token, deviceName, byPasskey) {
  const secret = secretOf(await longOf(token));
  const name = hex(await sha256(secret));
  let begun = await kept("begun");
  if (begun?.name !== name) {
    const pair = await newKey();
    const publicKeyInfo = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
    const csr = await certificateRequest(pair.privateKey, publicKeyInfo);
    begun = { name, privateKey: pair.privateKey, csr };
    await keep("begun", begun);
  }
  if (byPasskey && begun.passkey === undefined) {
    begun.passkey = await made(secret, begun.csr);
    await keep("begun", begun);
  }
  const asked = { token_secret: encode(secret), csr: encode(begun.csr), device_name: deviceName };
  if (begun.passkey !== undefined) asked.passkey = begun.passkey.said;
  const said = await enrol(asked);
  const device = {
    id: said.id,
    name: said.display_name,
    privateKey: begun.privateKey,
    passkey: begun.passkey?.kept,
    certificateSha256: await sha256(decode(said.certificate)),
    requestKey: decode(said.request_key),
    isShared: said.is_shared === true,
  };
  await keep("own", device);
  await keep("begun", undefined);
  return device;
}
