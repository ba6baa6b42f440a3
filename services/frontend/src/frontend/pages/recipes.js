// Recipes: choices for a file that are kept under a name. One is chosen before a file; a finished job can be kept as one.

import { make } from "./elements.js";
import { call, send } from "./service.js";

const field = document.getElementById("recipe-field");
const select = document.getElementById("recipe");

/** The id of the recipe to use, or "". */
export const chosen = () => select.value;

export function chooseNone() {
  select.value = "";
}

/** List the recipes that there are; the one that was chosen stays chosen. */
export async function offer() {
  const { recipes } = await call("/recipes");
  const before = select.value;
  const text = ({ name, own, owner }) => (own ? name : `${name} (shared by ${owner})`);
  select.replaceChildren(
    make("option", { value: "" }, "No recipe"),
    ...recipes.map((recipe) => make("option", { value: recipe.id }, text(recipe))),
  );
  select.value = recipes.some(({ id }) => id === before) ? before : "";
  field.hidden = recipes.length === 0;
}

/** A form that keeps the choices of a finished job. */
export function keep(job) {
  const name = make("input", {
    id: "recipe-name",
    required: "",
    maxlength: "64",
    pattern: "[a-z0-9]([a-z0-9\\-]*[a-z0-9])?",
    title: "Small letters, digits and hyphens, such as month-end",
    placeholder: "month-end",
    autocomplete: "off",
  });
  const said = make("p", { role: "status" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const saved = await send(`/recipes/${encodeURIComponent(name.value)}`, { from_job: job.id }, "PUT");
      said.className = "";
      said.textContent = `Recipe ${saved.name} is kept, as version ${saved.version}. Choose it above your next file.`;
      await offer();
    } catch (error) {
      said.className = "wrong";
      said.textContent = error.message;
    }
  };
  return make(
    "form",
    { className: "keep", onsubmit: submit },
    make("label", { for: "recipe-name" }, "Keep these choices as a recipe"),
    name,
    make("button", {}, "Keep"),
    said,
  );
}

/** What to do with a file that a recipe does not fit: `anyway` and `without` are done when a person says so. */
export function unfit(message, anyway, without) {
  const button = (text, act, className = "") => make("button", { type: "button", className, onclick: act }, text);
  return [
    make("h2", { tabindex: "-1" }, "The recipe does not fit this file"),
    make("p", { role: "alert" }, message),
    make("p", { className: "actions" }, button("Use it anyway", anyway, "button"), button("Continue without the recipe", without)),
  ];
}
