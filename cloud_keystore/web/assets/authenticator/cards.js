// The holder's cards, and their passcodes.
import { answered } from "./passkeys.js";
import { unlock } from "./protocol.js";
import { at, button, done, element, say, show } from "./screen.js";
import { cardEnd, cardState } from "./words.js";

// What can be done about a passcode: where it is sent, and what is asked for beside the new one.
const WAYS = {
  choose: { title: "Choose a passcode", path: "first-passcode", label: "" },
  change: { title: "Change the passcode", path: "passcode", label: "Present passcode" },
  reset: { title: "New passcode by the PUK", path: "reset", label: "PUK, which you were shown once" },
  unlock: { title: "New passcode by a code", path: "unlock", label: "Unlock code, which was read out to you" },
};
const OFFERED = { unset: ["choose"], ok: ["change", "reset", "unlock"], locked: ["reset", "unlock"] };
const IN_USE = ["pending", "active", "suspended"];

export class Cards {
  #calls;
  #isRemoved;
  #pins;
  #passkey; // of this phone, if it has one
  #rule = "";
  #chosen = null; // the card and the way of the form
  unlocks = []; // cards for whose unlock the registration authority has asked

  constructor(calls, isRemoved, pins, passkey) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    this.#pins = pins;
    this.#passkey = passkey;
    at("passcode-form").addEventListener("submit", (event) => this.#submitted(event));
    at("passcode-back").addEventListener("click", () => this.#close());
  }

  async list() {
    try {
      const { cards, passcode_rule: rule } = await this.#calls.ask("GET", "cards");
      this.#rule = rule;
      at("cards").replaceChildren(...(cards.length === 0
        ? [element("p", "", "You have no card yet. You are told when there is one.")]
        : cards.map((card) => this.#card(card))));
    } catch (error) {
      if (!this.#isRemoved(error)) at("cards").replaceChildren(element("p", "", error.message));
    }
  }

  // The cards that a workstation's reader can get.
  async usable() {
    const { cards } = await this.#calls.ask("GET", "cards");
    return cards.filter((card) => card.state === "active");
  }

  #card(card) {
    const isAsked = this.unlocks.includes(card.serial);
    const ways = IN_USE.includes(card.state) ? OFFERED[card.passcode_state] ?? [] : [];
    return element("div", "nhsuk-inset-text", "",
      element("h3", "nhsuk-heading-s", `Card ${card.serial}`),
      element("p", "", `It is ${cardState(card)}. ${cardEnd(card)}`),
      ...ways.map((name) => button(WAYS[name].title, () => this.#open(card.serial, WAYS[name]))),
      ...(isAsked || (ways.length > 0 && card.passcode_state === "locked") ? this.#unlock(card.serial, isAsked) : []));
  }

  #unlock(serial, isAsked) {
    const pin = this.#pins.field(`unlock-${serial}`);
    const asked = isAsked
      ? [element("p", "", "Your registration authority asks to unlock this card. Agree only if you have asked them for it.")]
      : [];
    return [...asked, pin, button("Agree to an unlock", () => this.#agree(serial, pin))];
  }

  // The registration authority has asked for it; the passcode stays the same, and gets new tries.
  async #agree(serial, pin) {
    say("");
    try {
      if (!await this.#pins.permits(pin, serial)) return;
      const evidence = await this.#answered(serial);
      await this.#calls.ask("POST", `cards/${encodeURIComponent(serial)}/unlock-agreement`, evidence);
      done("Card unlocked", `The passcode of card ${serial} is the same as before, and can be tried again.`);
    } catch (error) {
      if (!this.#isRemoved(error)) say(error.message);
    }
  }

  // What the passkey answers to the unlock that waits now, if there are both.
  async #answered(serial) {
    if (this.#passkey === undefined) return undefined;
    const { cards } = await this.#calls.ask("GET", "cards");
    const id = cards.find((card) => card.serial === serial)?.unlock_id;
    return id ? answered(this.#passkey, unlock(id)) : undefined;
  }

  #open(serial, way) {
    say("");
    this.#chosen = { serial, way };
    at("passcode-title").textContent = `${way.title} of card ${serial}`;
    at("secret-group").hidden = way.label === "";
    at("secret-label").textContent = way.label;
    at("passcode-hint").textContent = `It has ${this.#rule}, no letters and no other characters. No sequence, and not the same digit again and again.`;
    this.#empty();
    show("passcode");
    at("passcode-title").focus();
  }

  #empty() {
    for (const id of ["secret", "new-passcode", "repeated"]) at(id).value = "";
  }

  #close() {
    this.#empty();
    this.#chosen = null;
    say("");
    show("home");
    this.list();
  }

  async #submitted(event) {
    event.preventDefault();
    const { serial, way } = this.#chosen;
    const secret = at("secret").value, fresh = at("new-passcode").value;
    if (fresh !== at("repeated").value) {
      say("The new passcode and its repetition are not the same.");
      return;
    }
    const said = {
      "first-passcode": { passcode: fresh },
      passcode: { old_passcode: secret, new_passcode: fresh },
    }[way.path] ?? { secret, new_passcode: fresh };
    try {
      this.#told(await this.#calls.ask("POST", `cards/${encodeURIComponent(serial)}/${way.path}`, said));
    } catch (error) {
      if (!this.#isRemoved(error)) say(error.message);
    }
  }

  #told({ puk, is_set: isSet, tries_left: left, rule }) {
    if (puk) {
      this.#empty();
      done("Passcode chosen", `Write down the PUK of this card, ${puk}; another one from before is no longer good. You need it if you forget the passcode, and it is not shown again.`);
    } else if (isSet) {
      this.#empty();
      done("Passcode changed", "From now on the card takes the new one alone.");
    } else if (rule) {
      say(`The new passcode must be ${rule}.`);
    } else {
      say(left === 0
        ? "That was wrong, and it was the last try. Ask your registration authority for help."
        : `That was wrong. ${left} tries are left.`);
    }
  }
}
