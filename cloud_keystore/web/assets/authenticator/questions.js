// What the holder does at the portal and the phone has to agree to: the number that the portal shows
// is typed here, so that nobody agrees to what somebody else does there.
import { OutOfReach, Refused } from "./calls.js";
import { NoPasskey } from "./passkeys.js";
import { assent } from "./protocol.js";
import { at, button, element, field, say } from "./screen.js";

const PASSWORD_IS_KNOWN = "Somebody knows your password: set another one";
const MAIL_IS_READ = "Somebody reads your e-mail: the code there is good no longer. Set another password for your e-mail";

export class Questions {
  #calls;
  #isRemoved;
  #pins;
  #evidence; // of what this phone has signed
  #changed; // called when others wait than before
  count = 0; // of those that wait

  constructor(calls, isRemoved, pins, { evidence, changed }) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    this.#pins = pins;
    this.#evidence = evidence;
    this.#changed = changed;
  }

  list(questions) {
    if (questions.length > 0) at("questions-said").textContent = "";
    this.#show(questions);
  }

  #show(questions) {
    this.count = questions.length;
    at("questions").replaceChildren(...questions.map((each) => this.#question(each)));
    this.#changed();
  }

  #question({ id, subject, title, text }) {
    const number = element("input", "nhsuk-input nhsuk-input--width-3 cloudcard-number", "");
    Object.assign(number, { id: `number-${id}`, inputMode: "numeric", autocomplete: "off", maxLength: 2 });
    const pin = this.#pins.field(id);
    const yes = button("Yes, it is me", () => this.#agree(id, number, pin));
    yes.classList.remove("nhsuk-button--secondary");
    return element("section", "cloudcard-thing", "",
      element("h2", "nhsuk-heading-s", title),
      element("p", "", text),
      field("Number that the portal shows", number),
      pin,
      element("div", "cloudcard-decisions", "", yes,
        button("No", () => this.#answer(id, false, true, "")),
        button("This wasn’t me", () => this.#answer(id, false, false, "", {}, subject))));
  }

  async #agree(id, number, pin) {
    const typed = number.value.trim();
    say("");
    if (!/^\d\d$/.test(typed)) return say("Type the number of two digits that the portal shows.");
    if (!await this.#heard(() => this.#pins.permits(pin, id))) return undefined;
    const evidence = await this.#heard(() => this.#evidence(assent(id, typed)));
    if (evidence !== undefined) await this.#answer(id, true, true, typed, evidence);
    return undefined;
  }

  async #answer(id, agrees, isMe, number, evidence = {}, subject = "") {
    say("");
    const said = await this.#heard(() =>
      this.#calls.ask("POST", `assents/${encodeURIComponent(id)}`, { agrees, is_me: isMe, number, ...evidence }));
    if (said === undefined) return;
    this.#show([]);
    at("questions-said").textContent = said.state === "agreed"
      ? "You have agreed. Go on at the portal."
      : isMe ? (agrees ? "That was another number: it counts as a no. Begin again at the portal." : "You have said no.")
        : `Everybody is logged out at the portal. ${subject === "reset" ? MAIL_IS_READ : PASSWORD_IS_KNOWN}, and tell your registration authority.`;
  }

  // What a call answers, or nothing if it was refused, which is told.
  async #heard(call) {
    try {
      return await call();
    } catch (error) {
      if (![Refused, OutOfReach, NoPasskey].some((each) => error instanceof each)) throw error;
      if (!this.#isRemoved(error)) say(error.message);
      return undefined;
    }
  }
}
