// What was decided on this phone: the last of it, kept in this browser alone.
import { keep, kept } from "./keeping.js";
import { at, element } from "./screen.js";

const MOST = 50;

export async function remember(text) {
  const found = (await kept("history")) ?? [];
  await keep("history", [{ time: Date.now(), text }, ...found].slice(0, MOST));
}

export async function showHistory() {
  const found = (await kept("history")) ?? [];
  at("history").replaceChildren(...(found.length === 0
    ? [element("li", "", "Nothing yet.")]
    : found.map(({ time, text }) => element("li", "", `${new Date(time).toLocaleString()}: ${text}`))));
}
