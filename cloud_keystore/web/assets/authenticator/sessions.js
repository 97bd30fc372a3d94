// Where the holder's cards are in use: sessions, which use one without asking again, readers, and
// shared devices at which the holder is signed in; and how to end that.
import { OutOfReach, Refused } from "./calls.js";
import { at, button, element, say } from "./screen.js";

const time = (text) => new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

export class Sessions {
  #calls;
  #isRemoved;

  constructor(calls, isRemoved) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
  }

  // `offers`: of what the keystore tells.
  async list(offers) {
    const { sessions } = await this.#asked("sessions", { sessions: [] });
    const { sign_ins: readers } = offers("sign-ins") ? await this.#asked("sign-ins", { sign_ins: [] }) : { sign_ins: [] };
    const { seats } = offers("seats") ? await this.#asked("seats", { seats: [] }) : { seats: [] };
    this.#show("sessions", sessions.map((each) => [
      each,
      `It uses card ${each.card_serial} without asking again: since ${time(each.since)}, until ${time(each.until)}, ${each.uses_left} more times.`,
      button("End it", () => this.#end(`sessions/${encodeURIComponent(each.id)}/end`, offers)),
    ]));
    this.#show("sign-ins", readers.map((each) => [
      each,
      `Card ${each.card_serial} is in its reader until ${time(each.until)}.`,
      button("Take it out", () => this.#end(`sign-ins/${encodeURIComponent(each.id)}/end`, offers)),
    ]));
    this.#show("seats", seats.map((each) => [
      { workstation: each.device, site: each.site },
      `It approves for you since ${time(each.since)}, until ${time(each.until)} at the latest.`,
      button("Sign out there", () => this.#end(`seats/${encodeURIComponent(each.id)}/end`, offers)),
    ]));
  }

  // A keystore from before pages showed sessions does not know the call.
  async #asked(path, none) {
    try {
      return await this.#calls.ask("GET", path);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      this.#isRemoved(error);
      return none;
    }
  }

  #show(id, found) {
    at(`${id}-group`).hidden = found.length === 0;
    at(id).replaceChildren(...found.map(([each, text, ending]) => element("div", "nhsuk-inset-text", "",
      element("h3", "nhsuk-heading-s", each.site === "" ? each.workstation : `${each.workstation}, ${each.site}`),
      element("p", "", text),
      ending)));
  }

  async #end(path, offers) {
    try {
      await this.#calls.ask("POST", path);
      await this.list(offers);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      if (!this.#isRemoved(error)) say(error.message);
    }
  }
}
