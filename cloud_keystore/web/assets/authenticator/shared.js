// A device that several people share. Whoever signs in with a phone has a key of their own here, in
// memory alone: with the sign-out, an idle time or a launch of the page, nothing of them is left.
import { decode, encode, sha256 } from "./bytes.js";
import { Calls, OutOfReach, Refused } from "./calls.js";
import { certificateRequest } from "./der.js";
import { forget } from "./keeping.js";
import { Decision, genuine, newKey, NotGenuine, seatCode, signed, statement, Unreadable } from "./protocol.js";
import { isElsewhere, renew } from "./renewing.js";
import { at, done, say, show, shown } from "./screen.js";
import { clear, fill } from "./showing.js";
import { tell } from "./waiting.js";
import { ended, title } from "./words.js";

const LOOK = 1500, PAUSE = 2000, BEAT = 5000; // milliseconds
const STAY = 60000; // after which the keystore is told again that somebody is there
const QUIET = 4; // white modules around a code (ISO/IEC 18004)
const SIZE = 4; // pixels of one

const seconds = (text) => new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
const expected = (error) => error instanceof Refused || error instanceof OutOfReach;

export class SharedDevice {
  #device;
  #calls; // of the device itself
  #seat = null; // whoever is signed in: key, calls and what waits
  #turn = 0; // counts sign-ins, so that what belongs to one before is not taken for this one's

  constructor(device) {
    this.#device = device;
    this.#calls = new Calls(device);
  }

  begin() {
    at("shared-name").textContent = this.#device.name;
    at("shared-sign-in").addEventListener("click", () => this.#signIn());
    at("shared-again").addEventListener("click", () => this.#signIn());
    at("shared-back").addEventListener("click", () => this.#home());
    at("seat-out").addEventListener("click", () => this.#signOut("You are signed out."));
    at("approve-form").addEventListener("submit", (event) => this.#submitted(event));
    at("deny").addEventListener("click", () => this.#decide(Decision.DENY, ""));
    at("not-me").addEventListener("click", () => show("not-me"));
    at("go-back").addEventListener("click", () => show("request"));
    at("report").addEventListener("click", () => this.#decide(Decision.NOT_ME, ""));
    at("done-close").addEventListener("click", () => this.#next());
    for (const each of ["pointerdown", "keydown"]) document.addEventListener(each, () => this.#touched());
    setInterval(() => this.#beat(), BEAT);
    this.#home();
    this.#launch();
  }

  // A page that begins has nobody's key: the keystore signs out whoever was here.
  async #launch() {
    try {
      const { name, site } = await this.#calls.ask("POST", "shared/launch");
      at("shared-name").textContent = site === "" ? name : `${name}, ${site}`;
    } catch (error) {
      if (!expected(error)) throw error;
      if (!(await this.#isRemoved(error))) at("shared-said").textContent = error.message;
    }
    await this.#stand();
  }

  // The device's own certificate is renewed in time, whoever is here. Whatever goes wrong is asked
  // again at the next launch or sign-in: such a page can be open for months.
  async #stand() {
    try {
      const terms = await this.#calls.ask("GET", "shared/terms");
      if (terms.renewal_is_due) await renew(this.#calls, this.#device, "shared/", decode(terms.public_key));
    } catch (error) {
      if (!expected(error)) throw error;
      await this.#isRemoved(error);
    }
  }

  #home(text = "") {
    this.#turn += 1;
    clear();
    tell(0);
    at("shared-said").textContent = text;
    show("shared");
  }

  async #signIn() {
    say("");
    this.#turn += 1;
    const turn = this.#turn;
    this.#stand();
    try {
      const pair = await newKey();
      const publicKeyInfo = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
      const csr = encode(await certificateRequest(pair.privateKey, publicKeyInfo));
      const begun = await this.#calls.ask("POST", "shared/seats", { csr });
      draw(begun.picture);
      at("shared-text").textContent = begun.code;
      at("shared-check").textContent = await seatCode(await sha256(publicKeyInfo));
      at("shared-state").textContent = "Scan this code with your own phone: open the authenticator there.";
      at("shared-again").hidden = true;
      show("shared-code");
      await this.#wait(begun.id, pair.privateKey, turn);
    } catch (error) {
      if (!expected(error)) throw error;
      if (turn === this.#turn && !(await this.#isRemoved(error))) this.#home(error.message);
    }
  }

  // Look until the phone has said yes or no, or the code has ended.
  async #wait(id, privateKey, turn) {
    while (turn === this.#turn) {
      await new Promise((resolve) => setTimeout(resolve, LOOK));
      if (turn !== this.#turn) return;
      const seen = await this.#looked(id);
      if (turn !== this.#turn) return;
      if (seen === undefined) continue;
      if (seen.state === "open") {
        await this.#seated(seen, privateKey);
        return;
      }
      if (seen.state === "ended") {
        at("shared-state").textContent = "Nobody was signed in with this code.";
        at("shared-again").hidden = false;
        return;
      }
      if (seen.code === "") at("shared-state").textContent = "Say yes on your phone.";
    }
  }

  // How far a seat is, or nothing while the keystore is out of reach: its key is here alone, and must
  // not go because one look was lost.
  async #looked(id) {
    try {
      return await this.#calls.ask("GET", `shared/seats/${encodeURIComponent(id)}`);
    } catch (error) {
      if (!(error instanceof OutOfReach)) throw error;
      return undefined;
    }
  }

  async #seated(seen, privateKey) {
    const certificateSha256 = await sha256(decode(seen.certificate));
    this.#seat = {
      privateKey,
      calls: new Calls({ privateKey, certificateSha256 }),
      waiting: new Map(),
      shown: null,
      listening: new AbortController(),
      idle: 1000 * seen.idle_seconds,
      touched: Date.now(),
      told: Date.now(),
    };
    at("seat-name").textContent = seen.holder;
    at("seat-until").textContent = seconds(seen.until);
    at("seat").hidden = false;
    this.#next();
    this.#listen(this.#seat);
  }

  async #listen(seat) {
    while (seat === this.#seat) {
      try {
        for await (const event of seat.calls.events("seat/requests", seat.listening.signal)) {
          if (seat !== this.#seat) return;
          await this.#heard(seat, event);
        }
      } catch (error) {
        if (seat !== this.#seat) return;
        if (this.#hasEnded(error)) return;
      }
      // What has ended meanwhile is not told again.
      seat.waiting.clear();
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
    }
  }

  async #heard(seat, { name, said }) {
    if (name === "request") {
      try {
        const request = await genuine(said, this.#device.requestKey);
        seat.waiting.set(request.id, request);
        if (seat === this.#seat && shown() === "seated") this.#next();
        if (seat === this.#seat) tell(seat.waiting.size);
      } catch (error) {
        if (!(error instanceof NotGenuine || error instanceof Unreadable)) throw error;
        say(`${error.message} It was not shown, and nothing was approved. Tell your registration authority.`);
      }
    }
    if (name === "closed") this.#closed(seat, said.operation_id, said.state);
    if (name === "beat" && seat.shown !== null && !seat.waiting.has(seat.shown.id)) this.#closed(seat, seat.shown.id);
  }

  #closed(seat, id, state) {
    seat.waiting.delete(id);
    tell(seat.waiting.size);
    if (seat.shown?.id !== id || shown() === "done") return;
    seat.shown = null;
    done("This request has ended", ended(state));
  }

  // Show the request that waits for longest, or none.
  #next() {
    if (this.#seat === null) {
      this.#home();
      return;
    }
    const [request] = this.#seat.waiting.values();
    this.#seat.shown = request ?? null;
    if (request === undefined) {
      show("seated");
      return;
    }
    say("");
    fill(request);
    at("pin-group").hidden = true;
    show("request");
    at("request-title").focus();
  }

  #submitted(event) {
    event.preventDefault();
    const number = at("number").value.trim();
    if (!/^[0-9]{1,8}$/.test(number)) {
      say("Type the number that the workstation shows.");
      at("number").focus();
      return;
    }
    this.#decide(Decision.APPROVE, number);
  }

  async #decide(decision, number) {
    const seat = this.#seat, request = seat?.shown;
    if (!request) return;
    say("");
    try {
      const signature = encode(await signed(statement(request, decision, number), seat.privateKey));
      const path = `seat/requests/${encodeURIComponent(request.id)}/decision`;
      const { state } = await this.#sent(seat, path, { decision, number, signature, is_sign_in: false });
      if (seat !== this.#seat) return;
      seat.waiting.delete(request.id);
      seat.shown = null;
      tell(seat.waiting.size);
      this.#tell(decision, state, request);
    } catch (error) {
      if (!expected(error)) throw error;
      if (seat !== this.#seat || this.#hasEnded(error)) return;
      if (error instanceof Refused && [404, 409, 412].includes(error.status)) this.#closed(seat, request.id);
      else say(error.message);
    }
  }

  // Send a decision, and once more if the answer was lost: the keystore then gives it again.
  async #sent(seat, path, said) {
    try {
      return await seat.calls.ask("POST", path, said);
    } catch (error) {
      if (!(error instanceof OutOfReach)) throw error;
      return seat.calls.ask("POST", path, said);
    }
  }

  #tell(decision, state, request) {
    const where = request.says.workstation.displayName;
    if (decision === Decision.NOT_ME) done("Reported", "The card is suspended, and your registration authority knows.");
    else if (decision === Decision.DENY) done("Denied", `Nothing was done for ${where}.`);
    else if (state === "denied") done("Not approved", "The number was not the one on the workstation. Ask again there.");
    else done("Approved", `${title(request.says).replace("?", "")}, for ${where}.`);
  }

  // Whoever is signed in does something.
  #touched() {
    const seat = this.#seat;
    if (seat === null) return;
    seat.touched = Date.now();
    if (seat.touched - seat.told < STAY) return;
    seat.told = seat.touched;
    seat.calls.ask("POST", "seat/stay").catch((error) => {
      if (!expected(error)) throw error;
      if (seat === this.#seat) this.#hasEnded(error);
    });
  }

  #beat() {
    const seat = this.#seat;
    if (seat !== null && Date.now() - seat.touched >= seat.idle) this.#signOut("You were signed out, as nobody did anything here.");
  }

  // The screen and the key are gone at once, whether the keystore can be reached or not.
  async #signOut(text) {
    const seat = this.#leave(text);
    try {
      await seat?.calls.ask("POST", "seat/end");
    } catch (error) {
      if (!expected(error)) throw error;
      // It ends there by itself.
    }
  }

  #leave(text) {
    const seat = this.#seat;
    this.#seat = null;
    seat?.listening.abort();
    seat?.waiting.clear();
    say("");
    for (const id of ["seat-name", "seat-until", "shared-text", "shared-check"]) at(id).textContent = "";
    at("seat").hidden = true;
    this.#home(text);
    return seat;
  }

  // Whether the seat has ended elsewhere. Then nothing of it stays here; and it is asked whether the
  // device itself was removed.
  #hasEnded(error) {
    const is = error instanceof Refused && error.kind === "identity-rejected";
    if (is) {
      this.#leave("You were signed out.");
      this.#launch();
    }
    return is;
  }

  async #isRemoved(error) {
    const is = error instanceof Refused && error.kind === "identity-rejected";
    if (is && await isElsewhere(this.#device)) {
      location.reload();
    } else if (is) {
      this.#turn += 1;
      show("removed");
      await forget();
    }
    return is;
  }
}

// The picture of a code, row by row: "1" is dark.
function draw(rows) {
  const canvas = at("shared-picture"), side = SIZE * (rows.length + 2 * QUIET);
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  context.fillStyle = "#000";
  rows.forEach((row, down) => [...row].forEach((dark, right) => {
    if (dark === "1") context.fillRect(SIZE * (right + QUIET), SIZE * (down + QUIET), SIZE, SIZE);
  }));
}
