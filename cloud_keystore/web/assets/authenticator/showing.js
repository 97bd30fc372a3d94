// Fills the view of a request with what its bytes say.
import { at, element } from "./screen.js";
import { documents, facts, title } from "./words.js";

export function fill(request) {
  at("request-title").textContent = title(request.says);
  at("facts").replaceChildren(...facts(request).map(([label, value]) => {
    const row = element("div", "nhsuk-summary-list__row", "");
    const code = label === "Check code" ? " cloudcard-code" : "";
    row.append(
      element("dt", "nhsuk-summary-list__key", label),
      element("dd", `nhsuk-summary-list__value${code}`, value),
    );
    return row;
  }));
  const listed = documents(request.says);
  at("documents-title").textContent = listed.length === 1 ? "The document" : `The ${listed.length} documents`;
  at("documents").replaceChildren(...listed.map(([text, data]) => element("li", "", text, element("code", "", data))));
  at("documents-group").hidden = listed.length === 0;
  at("number").value = at("pin").value = "";
  at("number-group").hidden = request.isClaimed;
}

// Leave nothing of a request on the screen.
export function clear() {
  for (const id of ["request-title", "facts", "documents", "done-title", "done-text"]) at(id).replaceChildren();
  at("number").value = at("pin").value = "";
}
