// What a request says, in words.
import { hex } from "./bytes.js";

const KEY_USE = { 1: "Sign", 2: "Decrypt", 3: "Agree on a secret" };
const KEY_NAME = {
  0x9a: "Authentication key (9A)",
  0x9c: "Signature key (9C)",
  0x9d: "Key management key (9D)",
  0x9e: "Card authentication key (9E)",
};
const SHOWN_OF_INPUT = 16; // hex digits

const shownOf = (digest) => `${hex(digest).slice(0, SHOWN_OF_INPUT)}…`;

const time = (stamp) => new Date(stamp.seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

// The title of a request.
export function title(says) {
  if (says.signIn) return "Put your card into a reader?";
  if (says.seat) return "Sign in to a shared device?";
  const use = KEY_USE[says.keyUse] ?? "Use a key in an unknown way";
  if (says.session) {
    const minutes = Math.ceil(says.session.seconds / 60);
    return `${use}, up to ${says.session.mostUses} times within ${minutes} minutes, without asking again?`;
  }
  return says.inputSha256.length === 1 ? `${use} once?` : `${use} ${says.inputSha256.length} times?`;
}

function lasts({ signIn, seat }) {
  if (signIn) return `${Math.ceil(signIn.seconds / 3600)} hours at most`;
  if (!seat) return "";
  const most = seat.seconds < 7200 ? `${Math.ceil(seat.seconds / 60)} minutes` : `${Math.ceil(seat.seconds / 3600)} hours`;
  return `${most} at most, or until nobody has done anything there for ${Math.ceil(seat.idleSeconds / 60)} minutes. It approves for you until then.`;
}

// The facts of a request, in the order in which they are shown.
export function facts(request) {
  const says = request.says;
  const usesNoKey = says.signIn || says.seat;
  const found = [
    [says.seat ? "Shared device" : "Workstation", says.workstation.displayName],
    ["Place", says.workstation.site],
    ["Application", usesNoKey ? "" : says.application || "not known"],
    ["Check code", request.code],
    ["Card", says.cardSerial],
    ["Key", usesNoKey ? "" : KEY_NAME[says.keyRef] ?? `Key ${says.keyRef.toString(16).toUpperCase()}`],
    ["For", lasts(says)],
    ["Holder", says.userDisplayName],
    ["Asked at", time(says.createTime)],
    ["Decide until", time(says.expireTime)],
    ["Data", says.documents.length > 0 ? "" : says.inputSha256.map(shownOf).join(", ")],
  ];
  return found.filter(([, value]) => value !== "");
}

// The documents that a request lists, each with the data that is signed of it.
export const documents = (says) => says.documents.map((text, place) => [text, shownOf(says.inputSha256[place])]);

const CARD_STATE = {
  issuing: "being made",
  failed: "not made yet: your registration authority looks at it",
  cancelled: "not made: your registration authority can tell you why",
  pending: "waiting for its passcode",
  active: "in use",
  suspended: "suspended: your registration authority can tell you why",
  revoked: "revoked: it cannot be used any more",
};

// The state of a card, in words.
export function cardState(card) {
  const state = CARD_STATE[card.state] ?? card.state;
  return card.state === "active" && card.passcode_state === "locked" ? "locked, after too many wrong passcodes" : state;
}

// When a card ends, in words: in days from 90 on.
export function cardEnd({ expires, days_left: left }) {
  const until = new Date(expires).toLocaleDateString([], { dateStyle: "long" });
  if (left === undefined || left === null) return `It ends on ${until}.`;
  if (new Date(expires) <= new Date()) return `It has ended on ${until}: ask your registration authority for another one.`;
  const days = left === 0 ? "within a day" : left === 1 ? "in 1 day" : `in ${left} days`;
  return `It ends ${days}, on ${until}: ask your registration authority for another one.`;
}

const ENDED = {
  approved: "It was approved.",
  succeeded: "It was approved.",
  denied: "It was denied.",
  expired: "Nobody decided in time. If it was yours, ask again at the workstation.",
  cancelled: "The workstation no longer asks.",
  failed: "It was approved, but the workstation did not get its result.",
};

// How a request has ended that is no longer shown.
export const ended = (state) => ENDED[state] ?? "It no longer waits.";
