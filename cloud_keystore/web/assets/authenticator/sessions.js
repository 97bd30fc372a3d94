// The holder's open sessions: who can use a card without asking again, and how to end that.
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

  async list() {
    let found = [];
    try {
      ({ sessions: found } = await this.#calls.ask("GET", "sessions"));
    } catch (error) {
      // A keystore from before pages showed sessions does not know the call.
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      this.#isRemoved(error);
    }
    at("sessions-group").hidden = found.length === 0;
    at("sessions").replaceChildren(...found.map((each) => this.#session(each)));
  }

  #session(each) {
    const place = each.site === "" ? each.workstation : `${each.workstation}, ${each.site}`;
    return element("div", "nhsuk-inset-text", "",
      element("h3", "nhsuk-heading-s", place),
      element("p", "", `It uses card ${each.card_serial} without asking again: since ${time(each.since)}, until ${time(each.until)}, ${each.uses_left} more times.`),
      button("End it", () => this.#end(each)));
  }

  async #end({ id }) {
    try {
      await this.#calls.ask("POST", `sessions/${encodeURIComponent(id)}/end`);
      await this.list();
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      if (!this.#isRemoved(error)) say(error.message);
    }
  }
}
