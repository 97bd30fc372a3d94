// How much waits for the holder, in words: the heading where requests are awaited, which is read out
// when it changes, and the page's title, which a tab shows whatever is on the screen.
import { at } from "./screen.js";

const TITLE = document.title;
const NOTHING = "No request is waiting";

const counted = (count, one, many) => (count === 0 ? [] : [count === 1 ? one : `${count} ${many}`]);

function words(requests, questions, unlocks) {
  const found = [
    ...counted(requests, "a request", "requests"),
    ...counted(questions, "a question", "questions"),
    ...counted(unlocks, "an unlock", "unlocks"),
  ];
  const text = `${found.join(" and ")} ${requests + questions + unlocks === 1 ? "is" : "are"} waiting`;
  return found.length === 0 ? NOTHING : text.charAt(0).toUpperCase() + text.slice(1);
}

export function tell(requests, questions = 0, unlocks = 0) {
  const text = words(requests, questions, unlocks);
  document.title = text === NOTHING ? TITLE : `${text} – ${TITLE}`;
  // What stays the same is not read out again.
  if (at("waiting").textContent !== text) at("waiting").textContent = text;
}
