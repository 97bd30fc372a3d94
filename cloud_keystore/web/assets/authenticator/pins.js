// A PIN that this phone asks for before it approves, if its holder wants that. The keystore compares it:
// nothing in this browser helps to guess it.
import { OutOfReach, Refused } from "./calls.js";
import { at, done, element, field, say, show } from "./screen.js";

// What can be done about it: where it is sent, and what is asked for beside the new one.
const WAYS = {
  choose: { title: "Choose a PIN for this phone", path: "pin", label: "" },
  change: { title: "Change this phone’s PIN", path: "pin/change", label: "Present PIN" },
  reset: { title: "Another PIN for this phone", path: "pin/reset", label: "Code, which was read out to you" },
};
const TEXTS = {
  none: "Whoever holds this phone while it is unlocked can approve with it. Let it ask for a PIN of its own.",
  set: "This phone asks for its PIN before it approves.",
  locked: "The PIN is locked, after too many wrong ones. Ask your registration authority for a code.",
};

export class Pins {
  #calls;
  #isRemoved;
  #way = null;
  isSet = false;

  constructor(calls, isRemoved) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    for (const name of Object.keys(WAYS)) at(`pin-${name}`).addEventListener("click", () => this.#open(WAYS[name]));
    at("pin-form").addEventListener("submit", (event) => this.#submitted(event));
    at("pin-back").addEventListener("click", () => this.#close());
  }

  async list() {
    try {
      const { is_set: isSet, tries_left: left } = await this.#calls.ask("GET", "pin");
      this.isSet = isSet;
      at("pin-text").textContent = !isSet ? TEXTS.none : left > 0 ? TEXTS.set : TEXTS.locked;
      at("pin-choose").hidden = isSet;
      at("pin-change").hidden = !isSet || left === 0;
      at("pin-reset").hidden = !isSet;
      at("pin-own").hidden = false;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      this.#isRemoved(error);
    }
  }

  // What is wrong with the PIN for a request, or nothing.
  async wrong(pin, operationId) {
    if (pin === "") return "Type the PIN of this phone.";
    const tried = await this.#calls.ask("POST", "pin/check", { pin, operation_id: operationId });
    return tried.is_set ? "" : this.#text(tried);
  }

  // Where the PIN is typed for what no workstation asks.
  field(id) {
    const input = element("input", "nhsuk-input nhsuk-input--width-10", "");
    Object.assign(input, { id: `pin-${id}`, type: "password", inputMode: "numeric", autocomplete: "off", maxLength: 64 });
    const made = field("PIN of this phone", input);
    made.hidden = !this.isSet;
    return made;
  }

  // Whether the PIN in a field permits what has this id; if not, the page says why.
  async permits(made, id) {
    if (!this.isSet) return true;
    made.hidden = false; // the PIN can have been chosen since
    const input = made.querySelector("input");
    const wrong = await this.wrong(input.value, id);
    input.value = "";
    if (wrong !== "") say(wrong);
    return wrong === "";
  }

  #text({ rule, tries_left: left }) {
    if (rule) return `The new PIN must be ${rule}.`;
    return left === 0 ? `That was wrong. ${TEXTS.locked}` : `That was wrong. ${left} tries are left.`;
  }

  #open(way) {
    say("");
    this.#way = way;
    this.#empty();
    at("pin-title").textContent = way.title;
    at("pin-secret-group").hidden = way.label === "";
    at("pin-secret-label").textContent = way.label;
    show("pin");
    at("pin-title").focus();
  }

  #empty() {
    for (const id of ["pin-secret", "pin-new", "pin-repeated"]) at(id).value = "";
  }

  #close() {
    this.#empty();
    say("");
    show("home");
    this.list();
  }

  async #submitted(event) {
    event.preventDefault();
    const secret = at("pin-secret").value, fresh = at("pin-new").value;
    if (fresh !== at("pin-repeated").value) {
      say("The new PIN and its repetition are not the same.");
      return;
    }
    const said = {
      pin: { passcode: fresh },
      "pin/change": { old_passcode: secret, new_passcode: fresh },
      "pin/reset": { secret, new_passcode: fresh },
    }[this.#way.path];
    try {
      const tried = await this.#calls.ask("POST", this.#way.path, said);
      if (!tried.is_set) {
        say(this.#text(tried));
        return;
      }
      this.#empty();
      this.isSet = true;
      done("PIN chosen", "From now on this phone asks for it before it approves.");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      if (!this.#isRemoved(error)) say(error.message);
    }
  }
}
