// The device's calls to its keystore: each is signed by the device's key, for one use.
import { client } from "./about.js";
import { encode, sha256, utf8 } from "./bytes.js";

const BASE = "/authenticator/v1/";
const SIGNING = { name: "ECDSA", hash: "SHA-256" };
const MOST_TRIES = 3; // other processes have other nonces

export class Refused extends Error {
  constructor(status, kind, detail) {
    super(detail);
    this.status = status;
    this.kind = kind;
  }
}

export class OutOfReach extends Error {}

const json = (value) => encode(utf8(JSON.stringify(value)));

async function proof(device, method, url, body, nonce) {
  const header = { typ: "dpop+jwt", alg: "ES256", "x5t#S256": encode(device.certificateSha256) };
  const claims = {
    jti: encode(crypto.getRandomValues(new Uint8Array(16))),
    htm: method,
    htu: url,
    iat: Math.floor(Date.now() / 1000),
    nonce,
    bh: encode(await sha256(body)),
  };
  const head = `${json(header)}.${json(claims)}`;
  return `${head}.${encode(new Uint8Array(await crypto.subtle.sign(SIGNING, device.privateKey, utf8(head))))}`;
}

async function sent(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store", credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new OutOfReach("The keystore cannot be reached.");
  }
}

async function told(response) {
  let said = {};
  try {
    said = await response.json();
  } catch {
    // What is no JSON is no answer of the keystore's.
  }
  if (response.ok) return said;
  const kind = String(said.type ?? "").replace("urn:cloudcard:problem:", "");
  throw new Refused(response.status, kind, String(said.detail ?? "The keystore refused."));
}

// Calls of a device; `device` has its private key and SHA-256 of its certificate.
export class Calls {
  #device;
  #nonce = "none";

  constructor(device) {
    this.#device = device;
  }

  async ask(method, path, said) {
    return told(await this.#response(method, path, said));
  }

  // The events of a stream, until it ends or `signal` says so.
  async *events(path, signal) {
    const response = await this.#response("GET", path, undefined, signal);
    if (!response.ok) await told(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const name = /^event: (.*)$/m.exec(part)?.[1];
        const data = /^data: (.*)$/m.exec(part)?.[1];
        yield name === undefined ? { name: "beat" } : { name, said: JSON.parse(data) };
      }
    }
  }

  async #response(method, path, said, signal) {
    const url = new URL(BASE + path, location.origin);
    const text = said === undefined ? "" : JSON.stringify(said);
    let response;
    for (let tried = 0; tried < MOST_TRIES; tried += 1) {
      const headers = {
        "Cloudcard-Client": client(),
        DPoP: await proof(this.#device, method, url.href, utf8(text), this.#nonce),
      };
      if (said !== undefined) headers["Content-Type"] = "application/json";
      response = await sent(url, { method, headers, body: said === undefined ? undefined : text, signal });
      this.#nonce = response.headers.get("DPoP-Nonce") ?? this.#nonce;
      const asked = response.headers.get("WWW-Authenticate") ?? "";
      if (response.status !== 401 || !asked.includes("use_dpop_nonce")) break;
    }
    return response;
  }
}

// The calls of whoever has a token or a link, and no key that the keystore knows.
const unknown = async (path, said) => {
  const headers = { "Content-Type": "application/json" };
  return told(await sent(BASE + path, { method: "POST", headers, body: JSON.stringify(said) }));
};

export const enrol = (said) => unknown("enrolments", said);
export const passkeyTerms = (said) => unknown("passkeys", said);
export const exchange = (code) => unknown("short-codes", { code });
export const verifyAddress = (link) => unknown("addresses", { link });
