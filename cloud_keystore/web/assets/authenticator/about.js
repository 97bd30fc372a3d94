// What this page says of itself to its keystore, in the way that programs do: nobody vouches for it.
import { at } from "./screen.js";

const CAPABILITIES = ["sign-in", "documents"]; // of what can wait, what this page can show
const SYSTEMS = [
  ["android", /Android ([\d.]+)/],
  ["ios", /(?:iPhone )?OS ([\d_]+) like Mac OS X/],
  ["windows", /Windows NT ([\d.]+)/],
  ["macos", /Mac OS X ([\d_.]+)/],
  ["linux", /Linux()/],
];

function platform() {
  for (const [name, form] of SYSTEMS) {
    const found = form.exec(navigator.userAgent);
    if (found !== null) return [name, found[1].replaceAll("_", ".")].filter((each) => each !== "").join(" ");
  }
  return "browser";
}

export const client = () => `cloudcard/${at("authenticator")?.dataset.product ?? "0"} (${platform()}; ${CAPABILITIES.join(", ")})`;
