// The little of DER that a device needs: a request for a certificate, and signatures of ECDSA.
import { concat } from "./bytes.js";

const INTEGER = 0x02, BIT_STRING = 0x03, OBJECT_IDENTIFIER = 0x06, SEQUENCE = 0x30, ATTRIBUTES = 0xa0;
const ECDSA_WITH_SHA256 = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]; // RFC 5758, 3.2
const COORDINATE_BYTES = 32; // half a signature of P-256
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

function node(tag, ...parts) {
  const value = concat(...parts.map((part) => Uint8Array.from(part)));
  const length = value.length < 0x80 ? [value.length]
    : value.length < 0x100 ? [0x81, value.length]
      : [0x82, value.length >> 8, value.length & 0xff];
  return concat(Uint8Array.from([tag, ...length]), value);
}

// A PKCS#10 request of a P-256 key without a name (RFC 2986, 4). The keystore names the device.
export async function certificateRequest(privateKey, publicKeyInfo) {
  const info = node(SEQUENCE, node(INTEGER, [0]), node(SEQUENCE), publicKeyInfo, node(ATTRIBUTES));
  const signature = toDer(new Uint8Array(await crypto.subtle.sign(SIGNING, privateKey, info)));
  const algorithm = node(SEQUENCE, node(OBJECT_IDENTIFIER, ECDSA_WITH_SHA256));
  return node(SEQUENCE, info, algorithm, node(BIT_STRING, [0], signature));
}

// WebCrypto has r and s one after the other; the protocol has them in DER (RFC 3279, 2.2.3).
export function toDer(raw) {
  const halves = [raw.slice(0, COORDINATE_BYTES), raw.slice(COORDINATE_BYTES)];
  return node(SEQUENCE, ...halves.map((half) => {
    let at = 0;
    while (at < half.length - 1 && half[at] === 0) at += 1;
    return node(INTEGER, half[at] & 0x80 ? [0] : [], half.slice(at));
  }));
}

export function toRaw(der) {
  const wrong = new RangeError("this is no signature");
  if (der.length < 8 || der.length > 72 || der[0] !== SEQUENCE || der[1] !== der.length - 2) throw wrong;
  const raw = new Uint8Array(2 * COORDINATE_BYTES);
  let at = 2;
  for (const end of [COORDINATE_BYTES, 2 * COORDINATE_BYTES]) {
    const length = der[at + 1];
    if (der[at] !== INTEGER || at + 2 + length > der.length) throw wrong;
    let number = der.slice(at + 2, at + 2 + length);
    while (number.length > 1 && number[0] === 0) number = number.slice(1);
    if (number.length === 0 || number.length > COORDINATE_BYTES) throw wrong;
    raw.set(number, end - number.length);
    at += 2 + length;
  }
  if (at !== der.length) throw wrong;
  return raw;
}
