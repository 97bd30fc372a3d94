// The screen: which view is shown, and what it says. Texts are texts, never HTML.

export const at = (id) => document.getElementById(id);

export function show(view) {
  for (const each of document.querySelectorAll("[data-view]")) each.hidden = each.dataset.view !== view;
  document.documentElement.dataset.shown = view;
}

export const shown = () => document.documentElement.dataset.shown;

export function say(text) {
  at("problem-text").textContent = text;
  at("problem").hidden = text === "";
  if (text !== "") at("problem").focus();
}

export function element(name, className, text, ...children) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  made.append(...children);
  return made;
}

export function button(text, act) {
  const made = element("button", "nhsuk-button nhsuk-button--secondary nhsuk-button--small", text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

export function field(text, input) {
  const label = element("label", "nhsuk-label", text);
  label.htmlFor = input.id;
  return element("div", "nhsuk-form-group", "", label, input);
}

export function done(heading, text) {
  say("");
  at("done-title").textContent = heading;
  at("done-text").textContent = text;
  show("done");
  at("done-title").focus();
}
