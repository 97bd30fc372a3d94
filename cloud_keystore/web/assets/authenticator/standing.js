// What the keystore offers, and how this device stands with it: its certificate is renewed in time,
// and whoever was removed keeps nothing.
import { decode, encode, sha256 } from "./bytes.js";
import { OutOfReach, Refused } from "./calls.js";
import { certificateRequest } from "./der.js";
import { forget, keep, kept } from "./keeping.js";
import { quieten, silence } from "./ringing.js";
import { show } from "./screen.js";

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
      if (terms.renewal_is_due) await this.#renew(decode(terms.public_key));
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
    const own = await kept("own");
    if (own !== undefined && !this.#isIn(own)) {
      // Another tab has renewed it meanwhile.
      location.reload();
      return;
    }
    show("removed");
    await forget();
    await quieten();
    await silence();
  }

  #isIn(own) {
    return encode(own.certificateSha256) === encode(this.#device.certificateSha256);
  }

  // The next certificate is of the same key. One tab renews, and uses it at once: from then on it is
  // the certificate, and none that another tab is given could take its place.
  async #renew(publicKeyInfo) {
    await navigator.locks.request("renewal", async () => {
      const own = await kept("own");
      if (own === undefined || !this.#isIn(own)) return;
      const csr = await certificateRequest(own.privateKey, publicKeyInfo);
      const { certificate } = await this.#calls.ask("POST", "renewal", { csr: encode(csr) });
      const certificateSha256 = await sha256(decode(certificate));
      await keep("own", { ...own, certificateSha256 });
      this.#device.certificateSha256 = certificateSha256;
      await this.#calls.ask("GET", "terms");
    });
  }
}
