// Decodes the payload of a request: the very bytes that are signed, so that the page shows those and
// nothing that somebody says about them (docs/protocol.md, "The payload"). What it does not know
// wholly it does not show: unknown fields and repeated ones are refused.

const VARINT = 0, BYTES = 2; // wire types (Protocol Buffers, "Encoding")
const USE_VERSION = 2, SIGN_IN_VERSION = 3, DOCUMENTS_VERSION = 4, SEAT_VERSION = 5;

const number = { wire: VARINT, read: Number, none: 0 };
const text = { wire: BYTES, read: (raw) => new TextDecoder("utf-8", { fatal: true }).decode(raw), none: "" };
const bytes = { wire: BYTES, read: (raw) => raw, none: new Uint8Array() };
const message = (fields) => ({ wire: BYTES, read: (raw) => read(raw, fields), none: null });
const list = (item) => ({ ...item, repeated: true });

const TIMESTAMP = { 1: ["seconds", number], 2: ["nanos", number] };
const SESSION = { 1: ["mostUses", number], 2: ["seconds", number] };
const SIGN_IN = { 1: ["seconds", number] };
const SEAT = { 1: ["seconds", number], 2: ["idleSeconds", number], 3: ["keySha256", bytes] };
const WORKSTATION = {
  1: ["workstationId", text],
  2: ["displayName", text],
  3: ["site", text],
  4: ["certificateSha256", bytes],
};
const PAYLOAD = {
  1: ["version", number],
  2: ["operationId", text],
  3: ["keyUse", number],
  4: ["keyId", text],
  5: ["keyRef", number],
  6: ["algorithm", number],
  7: ["certificateSha256", bytes],
  8: ["cardSerial", text],
  9: ["userId", text],
  10: ["userDisplayName", text],
  11: ["inputSha256", list(bytes)],
  12: ["workstation", message(WORKSTATION)],
  13: ["application", text],
  14: ["createTime", message(TIMESTAMP)],
  15: ["expireTime", message(TIMESTAMP)],
  16: ["nonce", bytes],
  17: ["policy", text],
  18: ["factors", list(text)],
  19: ["session", message(SESSION)],
  20: ["organisation", text],
  21: ["numberCommitment", bytes],
  22: ["requestId", bytes],
  23: ["signIn", message(SIGN_IN)],
  24: ["documents", list(text)],
  25: ["seat", message(SEAT)],
};

export class Unreadable extends Error {}

// The payload as an object. Throws Unreadable for bytes that this page cannot show all of.
export function decodePayload(raw) {
  const found = read(raw, PAYLOAD);
  const ofUse = found.documents.length > 0 ? DOCUMENTS_VERSION : USE_VERSION;
  const version = found.seat ? SEAT_VERSION : ofUse;
  if (found.version !== (found.signIn ? SIGN_IN_VERSION : version)) {
    throw new Unreadable("This request is of a newer kind: open this page again, to have its newest version.");
  }
  if (!found.workstation || !found.createTime || !found.expireTime) throw new Unreadable("This request is not whole.");
  const usesNoKey = found.signIn || found.seat;
  if (found.seat && (found.signIn || found.cardSerial)) throw new Unreadable("This request says two things at once.");
  if (usesNoKey && (found.keyUse || found.keyId || found.session || found.inputSha256.length || found.documents.length)) {
    throw new Unreadable("This request says two things at once.");
  }
  if (found.documents.length > 0 && found.documents.length !== found.inputSha256.length) {
    throw new Unreadable("This request does not list what it is for.");
  }
  return found;
}

function read(raw, fields) {
  const found = {};
  for (const [name, kind] of Object.values(fields)) found[name] = kind.repeated ? [] : kind.none;
  const seen = new Set();
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= raw.length) break;
      const part = raw[at++];
      value |= BigInt(part & 0x7f) << shift;
      if (part < 0x80) return value;
    }
    throw new Unreadable("This request cannot be read.");
  };
  while (at < raw.length) {
    const tag = varint();
    const [name, kind] = fields[tag >> 3n] ?? [];
    if (kind === undefined) throw new Unreadable("This request has something that this page does not know.");
    if (Number(tag & 7n) !== kind.wire) throw new Unreadable("This request cannot be read.");
    if (seen.has(name) && !kind.repeated) throw new Unreadable("This request says two things at once.");
    seen.add(name);
    let value = varint();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Unreadable("This request cannot be read.");
    if (kind.wire === BYTES) {
      const end = at + Number(value);
      if (end > raw.length) throw new Unreadable("This request is not whole.");
      value = raw.slice(at, end);
      at = end;
    }
    const meant = converted(kind, value);
    if (kind.repeated) found[name].push(meant);
    else found[name] = meant;
  }
  return found;
}

function converted(kind, value) {
  try {
    return kind.read(value);
  } catch (error) {
    throw error instanceof Unreadable ? error : new Unreadable("This request cannot be read.");
  }
}
