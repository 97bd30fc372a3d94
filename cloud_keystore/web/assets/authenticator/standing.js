// What the keystore offers, and how this device stands with it: its certificate is renewed in time,
// and whoever was removed keeps nothing.
import { decode } from "./bytes.js";
import { OutOfReach, Refused } from "./calls.js";
import { forget } from "./keeping.js";
import { isElsewhere, renew } from "./renewing.js";
import { quieten, silence } from "./ringing.js";
import { show } from "./screen.js";
import { tell } from "./waiting.js";

const BEFORE = ["rings", "sessions"]; // what keystores had before they said what they offer

export class Standing {
  #calls;
  #device;
  #offers = BEFORE;

  constructor(calls, device) {
    this.#calls = calls;
    this.#device = device;
  }

  offers(name) {
    return this.#offers.includes(name);
  }

  // Ask, and do what is due. Whatever goes wrong is asked again at the next launch.
  async begin() {
    try {
      const terms = await this.#calls.ask("GET", "terms");
      this.#offers = terms.offers;
      if (terms.is_outdated) show("outdated");
      if (terms.renewal_is_due) await renew(this.#calls, this.#device, "", decode(terms.public_key));
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      this.isRemoved(error);
    }
  }

  // Whether the keystore knows this device no longer. Then its key is worth nothing, and neither that
  // nor anything else of its holder stays in this browser.
  isRemoved(error) {
    const removed = error instanceof Refused && error.kind === "identity-rejected";
    if (removed) this.#wipe();
    return removed;
  }

  async #wipe() {
    if (await isElsewhere(this.#device)) {
      location.reload();
      return;
    }
    tell(0);
    show("removed");
    await forget();
    await quieten();
    await silence();
  }
}
