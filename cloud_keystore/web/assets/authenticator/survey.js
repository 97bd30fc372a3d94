// Whether the holder would recommend the card: asked where a policy says so, rarely, and in nobody's
// way.
import { OutOfReach, Refused } from "./calls.js";
import { at, done, say } from "./screen.js";

export class Survey {
  #calls;
  #isRemoved;

  constructor(calls, isRemoved) {
    this.#calls = calls;
    this.#isRemoved = isRemoved;
    at("survey-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const score = new FormData(event.target).get("score");
      if (score === null) say("Choose a number from 0 to 10, or “Not now”.");
      else this.#answer({ score: Number(score), comment: at("survey-comment").value.trim() });
    });
    at("survey-later").addEventListener("click", () => this.#answer({}));
  }

  async list() {
    try {
      const { is_due: isDue } = await this.#calls.ask("GET", "survey");
      at("survey").hidden = !isDue;
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      at("survey").hidden = true;
      this.#isRemoved(error);
    }
  }

  async #answer(said) {
    say("");
    try {
      await this.#calls.ask("POST", "survey", said);
      at("survey").hidden = true;
      at("survey-form").reset();
      if (said.score !== undefined) done("Thank you", "Your answer helps to make the card better.");
    } catch (error) {
      if (!(error instanceof Refused || error instanceof OutOfReach)) throw error;
      if (!this.#isRemoved(error)) say(error.message);
    }
  }
}
