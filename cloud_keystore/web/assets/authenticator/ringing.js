// Lets this phone be rung while the page is closed, by the browser's push service, if its holder
// wants that and the keystore offers it.
import { decode, encode } from "./bytes.js";
import { OutOfReach, Refused } from "./calls.js";
import { keep, kept } from "./keeping.js";
import { at } from "./screen.js";

const CHOICE = "bell"; // what the holder has chosen, as it is kept
const TEXTS = {
  offered: "This phone can ring when something waits for you. The message says nothing more than that.",
  rung: "This phone rings when something waits for you.",
  forbidden: "Your browser does not let this page ring: allow notifications for it in the browser’s settings, and open it again.",
  unable: "This browser could not be made to ring. Try again later.",
  home: "To let this phone ring when something waits for you, add this page to your home screen, and open it from there.",
};

const registered = async () => (await navigator.serviceWorker?.getRegistration("/authenticator")) ?? null;

// Take away what was shown for a ring: whoever sees the page needs it no more.
export async function quieten() {
  const shown = (await (await registered())?.getNotifications?.()) ?? [];
  for (const each of shown) each.close();
}

// Let the push service forget this browser.
export async function silence() {
  await (await (await registered())?.pushManager?.getSubscription())?.unsubscribe();
}

const same = (one, other) => one !== null && encode(new Uint8Array(one)) === encode(other);

export class Bell {
  #calls;
  #isRemoved;
  #key = null; // the keystore's, from which this browser takes rings

  constructor(calls, isRemoved) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    at("bell-ring").addEventListener("click", () => this.#chosen());
    at("bell-end").addEventListener("click", () => this.#ended());
  }

  // Offer it, or renew what the holder has chosen: browsers get other addresses now and then.
  async begin() {
    try {
      const { key } = await this.#calls.ask("GET", "bell");
      this.#key = decode(key);
    } catch (error) {
      // A keystore from before pages were rung does not know the call.
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      this.#isRemoved(error);
      return;
    }
    if (!("PushManager" in window && "Notification" in window && "serviceWorker" in navigator)) {
      if (navigator.standalone === false) this.#say(TEXTS.home);
    } else if (Notification.permission === "denied") {
      this.#say(TEXTS.forbidden);
    } else if (Notification.permission === "granted" && (await kept(CHOICE)) === true) {
      await this.#hang();
    } else {
      this.#say(TEXTS.offered, "bell-ring");
    }
  }

  // The question of the browser follows upon the holder's own tap.
  async #chosen() {
    if ((await Notification.requestPermission()) !== "granted") {
      this.#say(TEXTS.forbidden);
      return;
    }
    await keep(CHOICE, true);
    await this.#hang();
  }

  async #hang() {
    try {
      const { pushManager } = await navigator.serviceWorker.ready;
      let found = await pushManager.getSubscription();
      if (found !== null && !same(found.options.applicationServerKey, this.#key)) {
        await found.unsubscribe();
        found = null;
      }
      found ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: this.#key });
      const [p256dh, auth] = ["p256dh", "auth"].map((name) => encode(new Uint8Array(found.getKey(name))));
      await this.#calls.ask("POST", "bell", { endpoint: found.endpoint, p256dh, auth });
      this.#say(TEXTS.rung, "bell-end");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach || error instanceof DOMException)) throw error;
      if (!this.#isRemoved(error)) this.#say(error instanceof Refused ? error.message : TEXTS.unable, "bell-ring");
    }
  }

  async #ended() {
    try {
      await keep(CHOICE, false);
      await silence();
      await this.#calls.ask("POST", "bell/end");
      this.#say(TEXTS.offered, "bell-ring");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      if (!this.#isRemoved(error)) this.#say(error.message, "bell-end");
    }
  }

  #say(text, offered) {
    at("bell-text").textContent = text;
    for (const id of ["bell-ring", "bell-end"]) at(id).hidden = id !== offered;
    at("bell").hidden = false;
  }
}
