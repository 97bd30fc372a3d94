// Takes the code that a workstation or a shared device shows: typed, or read from its screen.
import { at, button, say, show } from "./screen.js";

const CODE = /^CLOUDCARD:[A-Z0-9:]+$/, SIGN_IN = /^CLOUDCARD:IN:/, SEAT = /^CLOUDCARD:SEAT:/;
const NOT_THIS = "This is not the code of a workstation or a shared device: its text begins with CLOUDCARD:.";

export class Claims {
  #calls;
  #cards;
  #failed; // what is done with an error
  #claimed; // and with the request that the code stands for

  constructor(calls, cards, scanner, { claimed, failed, leave }) {
    this.#calls = calls;
    this.#cards = cards;
    this.#claimed = claimed;
    this.#failed = failed;
    at("scan").addEventListener("click", () => scanner.open((text) => this.#take(text), leave));
    at("choose-back").addEventListener("click", leave);
    at("claim-form").addEventListener("submit", (event) => {
      event.preventDefault();
      say(this.#take(at("qr-text").value));
    });
  }

  // What is wrong with the text, or nothing: then the request is shown when the keystore tells it.
  #take(text) {
    const code = text.trim().toUpperCase();
    if (!CODE.test(code)) return NOT_THIS;
    this.#choose(code);
    return "";
  }

  // Whoever has several cards says which one a workstation's reader gets. A use names its card.
  async #choose(code) {
    try {
      const cards = SIGN_IN.test(code) ? await this.#cards.usable() : [];
      if (cards.length < 2) {
        await this.#claim(code, "");
        return;
      }
      at("choices").replaceChildren(
        ...cards.map(({ serial }) => button(`Card ${serial}`, () => this.#claim(code, serial).catch(this.#failed))),
      );
      show("choose");
      at("choose-title").focus();
    } catch (error) {
      this.#failed(error);
    }
  }

  async #claim(code, serial) {
    const told = SEAT.test(code)
      ? await this.#calls.ask("POST", "seats/claims", { qr_text: code })
      : await this.#calls.ask("POST", "claims", { qr_text: code, card_serial: serial });
    at("qr-text").value = "";
    await this.#claimed(told);
  }
}
