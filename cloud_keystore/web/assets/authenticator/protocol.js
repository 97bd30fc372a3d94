// What a device signs, and what it checks before it shows anything (docs/protocol.md).
import { concat, decode, utf8 } from "./bytes.js";
import { toDer, toRaw } from "./der.js";
import { decodePayload, Unreadable } from "./payload.js";

const STATEMENT_DOMAIN = utf8("cloudcard statement v1\0");
const ASSENT_DOMAIN = utf8("cloudcard assent v1\0");
const UNLOCK_DOMAIN = utf8("cloudcard unlock v1\0");
const REQUEST_DOMAIN = utf8("cloudcard request v1\0");
const CODE_DOMAIN = utf8("cloudcard check code v1\0");
const SEAT_DOMAIN = utf8("cloudcard seat v1\0");
const CODE_ITERATIONS = 10000, CODE_BITS = 40;
const CODE_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

export const Decision = { APPROVE: 1, DENY: 2, NOT_ME: 3 };

export class NotGenuine extends Error {}

// A key that this browser alone can use: nobody gets it out, not even this page.
export const newKey = () => crypto.subtle.generateKey(CURVE, false, ["sign"]);

// The request as it can be shown: its bytes, and what they say. Throws NotGenuine unless the keystore
// whose key was pinned at enrolment has signed these bytes, and Unreadable for what cannot be shown.
export async function genuine(told, requestKey) {
  const payload = decode(told.payload);
  let good = false;
  try {
    const key = await crypto.subtle.importKey("spki", requestKey, CURVE, false, ["verify"]);
    const signature = toRaw(decode(told.keystore_signature));
    good = await crypto.subtle.verify(SIGNING, key, signature, concat(REQUEST_DOMAIN, payload));
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof DOMException)) throw error;
  }
  if (!good) throw new NotGenuine("A request was not from your keystore.");
  const says = decodePayload(payload);
  if (says.operationId !== told.operation_id) throw new NotGenuine("A request carried another one's content.");
  return Object.freeze({ id: says.operationId, payload, says, code: await checkCode(says), isClaimed: told.is_claimed === true });
}

// What is signed of a decision about a request that is shown: its very bytes among it.
export function statement(request, decision, number) {
  if (![...Object.values(Decision)].includes(decision)) throw new RangeError("no decision");
  const digits = utf8(number);
  const head = Uint8Array.from([decision, digits.length]);
  return concat(STATEMENT_DOMAIN, head, digits, request.payload);
}

// What is signed of a yes to a question of the portal.
export function assent(id, number) {
  const digits = utf8(number);
  return concat(ASSENT_DOMAIN, Uint8Array.of(digits.length), digits, utf8(id));
}

// What a passkey answers to that agrees to the unlock of a card.
export const unlock = (id) => concat(UNLOCK_DOMAIN, utf8(id));

// The signature of this browser's key over a statement.
export async function signed(statement, privateKey) {
  return toDer(new Uint8Array(await crypto.subtle.sign(SIGNING, privateKey, statement)));
}

// Eight characters that a shared device shows too, of the key that it has made.
export const seatCode = (keySha256) => slowCode(concat(SEAT_DOMAIN, keySha256));

// Eight characters that the workstation shows too, each from what it knows itself.
async function checkCode(says) {
  if (says.seat) return seatCode(says.seat.keySha256);
  if (says.signIn || says.requestId.length === 0) return "";
  const serial = utf8(says.cardSerial);
  const numbers = [
    says.requestId.length, serial.length, says.keyRef, says.algorithm, says.keyUse,
    says.session?.mostUses ?? 0, says.session?.seconds ?? 0, says.inputSha256.length,
  ];
  const fixed = new DataView(new ArrayBuffer(8 * numbers.length));
  numbers.forEach((number, place) => fixed.setBigInt64(8 * place, BigInt(number)));
  return slowCode(concat(new Uint8Array(fixed.buffer), says.requestId, serial, ...says.inputSha256));
}

async function slowCode(subject) {
  const key = await crypto.subtle.importKey("raw", subject, "PBKDF2", false, ["deriveBits"]);
  const slow = { name: "PBKDF2", hash: "SHA-256", salt: CODE_DOMAIN, iterations: CODE_ITERATIONS };
  const bits = new Uint8Array(await crypto.subtle.deriveBits(slow, key, CODE_BITS));
  const value = bits.reduce((whole, part) => (whole << 8n) | BigInt(part), 0n);
  const text = Array.from({ length: 8 }, (_, place) => CODE_ALPHABET[Number((value >> BigInt(35 - 5 * place)) & 31n)]);
  return `${text.slice(0, 4).join("")} ${text.slice(4).join("")}`;
}

export { Unreadable };
