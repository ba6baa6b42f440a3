// Several files at once: each is sent and enriched by itself, and says how it is doing.

import { make } from "./elements.js";
import { send, upload } from "./service.js";

const DECISIONS = ["unclear-mapping", "recipe-does-not-fit"].map((slug) => `urn:fileproc:problem:${slug}`);

/**
 * A list of the files, which are begun one after the other.
 *
 * `wish` is what each job is asked for, `follow` shows a job until its end and resolves with its state in words, and
 * `open` continues with a file that a person has to decide about.
 */
export function batch(files, wish, follow, open) {
  const rows = files.map((file) => ({ file, state: make("span", { className: "state" }, "Waiting") }));
  begin(rows, wish, follow, open);
  return [
    make("h2", { tabindex: "-1" }, `${files.length} files`),
    make("ul", { className: "batch" }, ...rows.map(({ file, state }) => make("li", {}, make("span", { className: "name" }, file.name), " ", state))),
  ];
}

async function begin(rows, wish, follow, open) {
  for (const { file, state } of rows) {
    let sent = null;
    try {
      state.textContent = "Sending";
      sent = await upload(file, (share) => {
        state.textContent = `Sending: ${Math.round(share * 100)} %`;
      });
      state.textContent = "Processing";
      follow(await send("/jobs", { ...wish, file: sent.id })).then(
        (text) => {
          state.textContent = text;
        },
        (error) => wrong(state, error),
      );
    } catch (error) {
      wrong(state, error);
      if (DECISIONS.includes(error.type)) {
        state.after(" ", make("button", { type: "button", "aria-label": `Decide about ${file.name}`, onclick: () => open(sent) }, "Decide"));
      }
    }
  }
}

function wrong(state, error) {
  state.classList.add("failed");
  state.textContent = error.message;
}
