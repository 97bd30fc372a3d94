// What the holder does at the portal and the phone has to agree to: the number that the portal shows
// is typed here, so that nobody agrees to what somebody else does there.
import { OutOfReach, Refused } from "./calls.js";
import { answered, NoPasskey } from "./passkeys.js";
import { assent } from "./protocol.js";
import { at, button, element, field, say } from "./screen.js";

const WORDS = new Map([
  ["log-in", () => ["Log in to the portal?", "Somebody has given your password at the page where you look after your card."]],
  ["factor", () => ["Ask this phone at each log-in?", "From then on nobody logs in to the portal without your phone."]],
  ["reset", () => ["Another password for the portal?", "Somebody has the code that was mailed to you for a forgotten password."]],
  ["passcode", (card) => [`Another passcode for card ${card}?`, "It is chosen at the portal. Whoever is there can then use the card, if you approve."]],
  ["renewal", (card) => [`Renew card ${card}?`, "It gets new keys and certificates, and keeps its passcode."]],
]);

const PASSWORD_IS_KNOWN = "Somebody knows your password: set another one";
const MAIL_IS_READ = "Somebody reads your e-mail: the code there is good no longer. Set another password for your e-mail";

export class Questions {
  #calls;
  #isRemoved;
  #pins;
  #passkey; // of this phone, if it has one

  constructor(calls, isRemoved, pins, passkey) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    this.#pins = pins;
    this.#passkey = passkey;
  }

  // Those that this page knows: to others it says neither yes nor no.
  list(questions) {
    const known = questions.filter(({ subject }) => WORDS.has(subject));
    if (known.length > 0) at("questions-said").textContent = "";
    at("questions").replaceChildren(...known.map((each) => this.#question(each)));
  }

  #question({ id, subject, card_serial: card }) {
    const [title, text] = WORDS.get(subject)(card);
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
    const evidence = this.#passkey === undefined ? {} : await this.#heard(() => answered(this.#passkey, assent(id, typed)));
    if (evidence !== undefined) await this.#answer(id, true, true, typed, evidence);
    return undefined;
  }

  async #answer(id, agrees, isMe, number, evidence = {}, subject = "") {
    say("");
    const said = await this.#heard(() =>
      this.#calls.ask("POST", `assents/${encodeURIComponent(id)}`, { agrees, is_me: isMe, number, ...evidence }));
    if (said === undefined) return;
    at("questions").replaceChildren();
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
