// The page on which an e-mail address is verified: by a link, whose part behind the # no server sees,
// and only when somebody says so, since programs open the links of letters too.
import { OutOfReach, Refused, verifyAddress } from "./authenticator/calls.js";
import { at, done, say } from "./authenticator/screen.js";

const AGAIN = "This link was used, has ended, or is not the newest one. Ask your registration authority to send another.";
const link = decodeURIComponent(location.hash.slice(1));

async function verified() {
  say("");
  try {
    const said = await verifyAddress(link);
    if (said.is_verified) done("Your address is verified", `What concerns your card is sent to ${said.email} from now on.`);
    else say(AGAIN);
  } catch (error) {
    if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
    say(error.status === 422 ? AGAIN : error.message);
  }
}

history.replaceState(null, "", location.pathname);
if (link === "") say(AGAIN);
at("address-form").addEventListener("submit", (event) => {
  event.preventDefault();
  verified();
});
