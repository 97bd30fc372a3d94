// The authenticator: what is on the screen, and what the holder does there.
import { encode } from "./bytes.js";
import { Calls, OutOfReach, Refused } from "./calls.js";
import { Cards } from "./cards.js";
import { Claims } from "./claiming.js";
import { enrolled, NoToken, tokenIn } from "./enrolling.js";
import { remember, showHistory } from "./history.js";
import { kept } from "./keeping.js";
import { answered, canMake, NoPasskey } from "./passkeys.js";
import { Pins } from "./pins.js";
import { Decision, genuine, NotGenuine, signed, statement, Unreadable } from "./protocol.js";
import { Questions } from "./questions.js";
import { Bell, quieten } from "./ringing.js";
import { Scanner } from "./scanning.js";
import { at, done, element, say, show, shown } from "./screen.js";
import { Sessions } from "./sessions.js";
import { SharedDevice } from "./shared.js";
import { fill } from "./showing.js";
import { Standing } from "./standing.js";
import { Survey } from "./survey.js";
import { keepShell, takeNewest, takeNext } from "./updating.js";
import { tell } from "./waiting.js";
import { ended, title } from "./words.js";

const LONGEST_PAUSE = 30000, FIRST_PAUSE = 1000; // milliseconds before the keystore is asked again

// One device of this browser, from when it is known until it is removed.
class Authenticator {
  #device;
  #calls;
  #waiting = new Map(); // requests that the keystore has told of, in their order
  #shown = null; // the request on the screen: what is signed is this one's bytes
  #listening = null;
  #told = new Set(); // names of events, since the keystore was reached again
  #cards;
  #sessions;
  #survey;
  #pins;
  #standing;
  #bell;
  #questions;

  constructor(device, scanner) {
    this.#device = device;
    this.#calls = new Calls(device);
    this.#standing = new Standing(this.#calls, device);
    const isRemoved = (error) => this.#isRemoved(error);
    this.#pins = new Pins(this.#calls, isRemoved);
    this.#cards = new Cards(this.#calls, isRemoved, this.#pins, this.#device.passkey);
    this.#sessions = new Sessions(this.#calls, isRemoved);
    this.#survey = new Survey(this.#calls, isRemoved);
    this.#questions = new Questions(this.#calls, isRemoved, this.#pins, {
      evidence: (signs) => this.#evidence(signs),
      changed: () => this.#tell(),
    });
    this.#bell = new Bell(this.#calls, isRemoved);
    new Claims(this.#calls, this.#cards, scanner, {
      claimed: (told) => this.#claimed(told),
      failed: (error) => this.#isRemoved(error) || this.#refused(error),
      leave: () => this.#next(),
    });
  }

  begin() {
    at("own-name").textContent = this.#device.name;
    at("own-passkey").hidden = this.#device.passkey === undefined;
    at("approve-form").addEventListener("submit", (event) => this.#submitted(event));
    at("deny").addEventListener("click", () => this.#decide(Decision.DENY, ""));
    at("not-me").addEventListener("click", () => show("not-me"));
    at("go-back").addEventListener("click", () => show("request"));
    at("report").addEventListener("click", () => this.#decide(Decision.NOT_ME, ""));
    at("done-close").addEventListener("click", () => this.#next());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#listenAgain());
    window.addEventListener("online", () => this.#listenAgain());
    navigator.serviceWorker?.addEventListener("message", () => this.#listenAgain());
    this.#next();
    this.#stand();
    this.#listen();
    this.#bell.begin();
  }

  // What the keystore offers is shown when it has said so.
  async #stand() {
    await this.#standing.begin();
    await this.#listFurther();
    if (shown() === "request") this.#askPin();
  }

  async #listen() {
    quieten();
    for (let pause = FIRST_PAUSE; ;) {
      this.#listening = new AbortController();
      this.#told.clear();
      try {
        for await (const event of this.#calls.events("requests", this.#listening.signal)) {
          pause = FIRST_PAUSE;
          at("connection").textContent = "This phone is connected. Requests appear here by themselves.";
          await this.#heard(event);
        }
      } catch (error) {
        if (this.#isRemoved(error)) return;
      }
      at("connection").textContent = navigator.onLine
        ? "The keystore cannot be reached; this page tries again."
        : "This phone is offline.";
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, pause);
        this.#listening.signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
        if (this.#listening.signal.aborted) resolve();
      });
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  // A phone that slept has lost its connection without noticing.
  #listenAgain() {
    quieten();
    this.#waiting.clear();
    this.#listening?.abort();
  }

  async #heard({ name, said }) {
    this.#told.add(name);
    if (name === "request") await this.#asked(said);
    if (name === "closed") this.#closed(said);
    if (name === "questions") this.#questions.list(said.questions);
    if (name === "unlocks") this.#unlocks(said.cards);
    if (name === "beat") this.#allHeard();
    if (name === "alert") at("alerts").append(this.#alert(said));
  }

  async #asked(told) {
    try {
      const request = await genuine(told, this.#device.requestKey);
      this.#waiting.set(request.id, request);
      if (shown() === "home") this.#next();
      this.#tell();
    } catch (error) {
      if (!(error instanceof NotGenuine || error instanceof Unreadable)) throw error;
      say(`${error.message} It was not shown, and nothing was approved. Tell your registration authority.`);
    }
  }

  // Whatever waits was told by now: what ended while nobody listened is not among it.
  #allHeard() {
    if (!this.#told.has("questions") && this.#questions.count > 0) this.#questions.list([]);
    if (!this.#told.has("unlocks") && this.#cards.unlocks.length > 0) this.#unlocks([]);
    if (this.#shown !== null && !this.#waiting.has(this.#shown.id)) this.#closed({ operation_id: this.#shown.id });
  }

  #closed({ operation_id: id, state }) {
    this.#waiting.delete(id);
    this.#tell();
    if (this.#shown?.id !== id || shown() === "done") return;
    this.#shown = null;
    done("This request has ended", ended(state));
  }

  #alert(said) {
    const made = element("div", "nhsuk-inset-text", "");
    made.append(element("p", "", said.card_serial === "" ? said.text : `Card ${said.card_serial}: ${said.text}`));
    return made;
  }

  // The cards for whose unlock the registration authority has asked.
  #unlocks(cards) {
    this.#cards.unlocks = cards;
    this.#tell();
    if (shown() === "home") this.#cards.list();
  }

  #tell() {
    tell(this.#waiting.size, this.#questions.count, this.#cards.unlocks.length);
  }

  // Show the request that waits for longest, or none.
  #next() {
    const [request] = this.#waiting.values();
    if (request === undefined) {
      this.#shown = null;
      show("home");
      this.#cards.list();
      this.#listFurther();
      showHistory();
      takeNext();
    } else {
      this.#show(request);
    }
  }

  async #listFurther() {
    this.#sessions.list((name) => this.#standing.offers(name));
    if (this.#standing.offers("survey")) this.#survey.list();
    // A passkey asks for finger, face or PIN by itself.
    if (this.#standing.offers("pin") && this.#device.passkey === undefined) await this.#pins.list();
  }

  #askPin() {
    at("pin-group").hidden = !this.#pins.isSet;
  }

  #show(request) {
    say("");
    this.#shown = request;
    this.#tell();
    fill(request);
    this.#askPin();
    show("request");
    at("request-title").focus();
  }

  #submitted(event) {
    event.preventDefault();
    const isClaimed = this.#shown?.isClaimed === true;
    const number = isClaimed ? "" : at("number").value.trim();
    if (!isClaimed && !/^[0-9]{1,8}$/.test(number)) {
      say("Type the number that the workstation shows.");
      at("number").focus();
      return;
    }
    this.#decide(Decision.APPROVE, number);
  }

  async #decide(decision, number) {
    const request = this.#shown;
    if (request === null) return;
    say("");
    this.#busy(true);
    try {
      if (decision === Decision.APPROVE && this.#pins.isSet) {
        const wrong = await this.#pins.wrong(at("pin").value, request.id);
        at("pin").value = "";
        if (wrong !== "") {
          say(wrong);
          return;
        }
      }
      const evidence = await this.#evidence(statement(request, decision, number));
      const { state } = await this.#sent(...this.#answer(request, decision, number, evidence));
      this.#waiting.delete(request.id);
      this.#shown = null;
      this.#tell();
      await remember(`${this.#decided(decision, state, request)} ${title(request.says).replace("?", "")}, for ${request.says.workstation.displayName}.`);
    } catch (error) {
      if (!this.#isRemoved(error)) this.#failed(error, request);
    } finally {
      this.#busy(false);
    }
  }

  // Where a decision is sent, and what is said there.
  #answer(request, decision, number, evidence) {
    const id = encodeURIComponent(request.id);
    if (request.says.seat) return [`seats/${id}/decision`, { decision, ...evidence }];
    return [`requests/${id}/decision`, { decision, number, ...evidence, is_sign_in: request.says.signIn !== null }];
  }

  // What proves a decision: by this browser's key, or by its passkey.
  async #evidence(signs) {
    const { passkey, privateKey } = this.#device;
    return passkey === undefined ? { signature: encode(await signed(signs, privateKey)) } : answered(passkey, signs);
  }

  // Send a decision, and once more if the answer was lost: the keystore then gives it again.
  async #sent(path, said) {
    try {
      return await this.#calls.ask("POST", path, said);
    } catch (error) {
      if (!(error instanceof OutOfReach)) throw error;
      return this.#calls.ask("POST", path, said);
    }
  }

  // Say what the decision has led to; a word for it.
  #decided(decision, state, request) {
    const where = request.says.workstation.displayName;
    if (decision === Decision.NOT_ME) {
      done("Reported", request.says.signIn || request.says.seat
        ? "Your registration authority knows. The card stays in use: no passcode was given."
        : "The card is suspended, and your registration authority knows.");
      return "Reported:";
    }
    if (decision === Decision.DENY) {
      done("Denied", `Nothing was done for ${where}.`);
      return "Denied:";
    }
    if (state === "denied") {
      done("Not approved", "The number was not the one on the workstation. Ask again there.");
      return "Not approved, as the number was wrong:";
    }
    done("Approved", `${title(request.says).replace("?", "")}, for ${where}.`);
    return "Approved:";
  }

  #failed(error, request) {
    if (error instanceof Refused && [404, 409, 412].includes(error.status)) {
      this.#waiting.delete(request.id);
      this.#shown = null;
      this.#tell();
      done("This request has ended", error.message);
      return;
    }
    show("request");
    say(error.message);
    // Its holder can have chosen a PIN in another tab.
    if (error.kind === "approval-rejected") this.#listFurther().then(() => this.#askPin());
  }

  async #claimed(told) {
    const request = await genuine(told, this.#device.requestKey);
    this.#waiting.set(request.id, request);
    this.#show(request);
  }

  // Say at home why a code was of no use.
  #refused(error) {
    this.#next();
    say(error.message);
  }

  #isRemoved(error) {
    return this.#standing.isRemoved(error);
  }

  #busy(is) {
    for (const each of document.querySelectorAll("[data-view=request] button, [data-view=not-me] button")) each.disabled = is;
  }
}

function beginEnrolment(scanner) {
  at("token").value = decodeURIComponent(location.hash.slice(1));
  // The token is a secret, which neither history nor screen has to keep.
  history.replaceState(null, "", location.pathname);
  at("device-name").value = /Android|iPhone|iPad/.exec(navigator.userAgent)?.[0] ?? "Browser";
  at("passkey-group").hidden = !canMake();
  at("scan-token").addEventListener("click", () => scanner.open((text) => {
    const token = tokenIn(text);
    if (token === "") return "This is not the code of an invitation.";
    at("token").value = token;
    show("enrol");
    return "";
  }, () => show("enrol")));
  at("enrol-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    say("");
    const button = event.target.querySelector("button");
    button.disabled = true;
    try {
      const device = await enrolled(at("token").value, at("device-name").value.trim(), at("by-passkey").checked);
      at("token").value = "";
      launch(device, scanner);
    } catch (error) {
      if (![NoToken, NoPasskey, Refused, OutOfReach].some((each) => error instanceof each)) throw error;
      say(error.message);
    } finally {
      button.disabled = false;
    }
  });
  show("enrol");
}

async function begin() {
  if (!window.isSecureContext || !crypto.subtle || !window.indexedDB) {
    show("unable");
    return;
  }
  at("begin-again").addEventListener("click", () => location.reload());
  at("renew-page").addEventListener("click", takeNewest);
  const scanner = new Scanner();
  const device = await kept("own").catch(() => null);
  if (device === null) show("unable");
  else if (device === undefined) beginEnrolment(scanner);
  else launch(device, scanner);
}

// A device that several people share approves for whoever signs in, and for nobody by itself.
function launch(device, scanner) {
  if (device.isShared) new SharedDevice(device).begin();
  else new Authenticator(device, scanner).begin();
}

begin();
keepShell();
