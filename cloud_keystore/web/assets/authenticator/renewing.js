// The certificate of this device, which is renewed in time, for the same key.
import { decode, encode, sha256 } from "./bytes.js";
import { certificateRequest } from "./der.js";
import { keep, kept } from "./keeping.js";

const isIn = (own, device) => encode(own.certificateSha256) === encode(device.certificateSha256);

// Whether another tab has renewed it meanwhile, so that this one does not know of it.
export async function isElsewhere(device) {
  const own = await kept("own");
  return own !== undefined && !isIn(own, device);
}

// One tab renews, and uses the next certificate at once: from then on it is the certificate, and none
// that another tab is given could take its place. `at` is where the calls of such devices are.
export async function renew(calls, device, at, publicKeyInfo) {
  await navigator.locks.request("renewal", async () => {
    const own = await kept("own");
    if (own === undefined || !isIn(own, device)) return;
    const csr = await certificateRequest(own.privateKey, publicKeyInfo);
    const { certificate } = await calls.ask("POST", `${at}renewal`, { csr: encode(csr) });
    const certificateSha256 = await sha256(decode(certificate));
    await keep("own", { ...own, certificateSha256 });
    device.certificateSha256 = certificateSha256;
    await calls.ask("GET", `${at}terms`);
  });
}
