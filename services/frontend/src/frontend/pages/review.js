// Why keys were not found: a person approves a cause or writes a key, and the file is enriched once more.

import { make, number } from "./elements.js";
import { call, send } from "./service.js";

const SHOWN = 100; // rows at a time: a file may have thousands of such keys

/** A form about the keys that a job did not find; `begin` is given the job that it starts. Null where all were found. */
export async function review(job, report, begin) {
  const { misses } = await call(`/jobs/${job.id}/misses`);
  if (!misses.length) return null;
  const words = new Map(report.mappings.flatMap(({ causes }) => causes.map((each) => [each.cause, each.description])));
  const word = (cause) => words.get(cause) ?? "Not looked into";
  const keys = misses.flatMap(({ dataset, keys: missed }) => missed.map((each) => ({ ...each, missedIn: dataset })));
  const wrong = make("p", { className: "wrong", role: "alert", hidden: "" });
  const form = make(
    "form",
    { className: "review", "aria-labelledby": "review-title" },
    make("h3", { id: "review-title" }, keys.length === 1 ? "1 key was not found" : `${number(keys.length)} keys were not found`),
    causes(keys, word),
    each(keys, word),
    wrong,
    make("button", { className: "button" }, "Enrich with these keys"),
    make("p", { className: "quiet" }, "The cells of your file stay as they are. A column says which key was used, and why."),
  );
  form.addEventListener("input", () => {
    wrong.hidden = true;
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const decided = decisions(form);
    wrong.hidden = decided.approve.length + Object.keys(decided.keys).length > 0;
    wrong.textContent = "Tick a cause or write a key first.";
    if (!wrong.hidden) return;
    const button = form.querySelector(".button");
    button.disabled = true;
    try {
      begin(await send(`/jobs/${job.id}/review`, decided));
    } catch (error) {
      wrong.textContent = error.message;
      wrong.hidden = false;
      button.disabled = false;
    }
  });
  return form;
}

function causes(keys, word) {
  const groups = new Map();
  for (const key of keys) {
    if (!groups.has(key.cause)) groups.set(key.cause, []);
    groups.get(key.cause).push(key);
  }
  const lines = [...groups].map(([cause, members]) => {
    const example = members.find(({ proposals }) => proposals.length) ?? members[0];
    const [best] = example.proposals;
    const text = `${word(cause)}: ${number(members.length)}, such as `;
    const meant = best ? [make("code", {}, example.key), " for ", make("code", {}, best.key)] : [make("code", {}, example.key)];
    if (!best) return make("li", {}, text, ...meant);
    return make("li", {}, make("label", {}, make("input", { type: "checkbox", name: "approve", value: cause }), text, ...meant));
  });
  return make("fieldset", {}, make("legend", {}, "Use the best proposal for all of a kind"), make("ul", {}, ...lines));
}

function each(keys, word) {
  const body = make("tbody");
  const more = make("button", { type: "button", className: "more" });
  const show = () => {
    const from = body.children.length;
    body.append(...keys.slice(from, from + SHOWN).map((key, index) => row(key, from + index, word)));
    const left = keys.length - body.children.length;
    more.hidden = left === 0;
    more.textContent = `Show ${number(Math.min(left, SHOWN))} more of ${number(left)}`;
  };
  more.addEventListener("click", () => {
    const first = body.children.length;
    show();
    body.children[first].querySelector("input").focus();
  });
  show();
  const head = make("tr", {}, ...["Key", "First row", "Why", "Use this key"].map((name) => make("th", { scope: "col" }, name)));
  return make(
    "details",
    {},
    make("summary", {}, "Key by key"),
    make("div", { className: "scroll" }, make("table", {}, make("thead", {}, head), body)),
    more,
  );
}

function row(key, index, word) {
  const list = `proposals-${index}`;
  const why = key.dataset ? `Key of ${key.dataset}` : word(key.cause);
  const input = make("input", {
    "aria-label": `Key to use for ${key.key}`,
    autocomplete: "off",
    "data-dataset": key.missedIn,
    "data-key": key.key,
    list,
    maxlength: "256",
    placeholder: key.proposals[0]?.key ?? "",
  });
  const options = key.proposals.map((proposal) => make("option", { value: proposal.key }, proposal.reason));
  const cells = [make("code", {}, key.key), key.row ?? "", why];
  return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)), make("td", {}, input, make("datalist", { id: list }, ...options)));
}

function decisions(form) {
  const keys = {};
  for (const { dataset, value } of form.querySelectorAll("input[data-key]")) {
    if (value.trim()) (keys[dataset.dataset] ??= {})[dataset.key] = value.trim();
  }
  return { approve: [...form.querySelectorAll("[name=approve]:checked")].map(({ value }) => value), keys };
}
