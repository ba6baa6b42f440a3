// Pieces of the pages.

export function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "className") made.className = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const number = (value) => Number(value).toLocaleString("en");

export function table(title, head, rows, marked = []) {
  const cells = (row, kind) =>
    make("tr", {}, ...row.map((text, index) => make(kind, marked[index] ? { className: "added" } : {}, String(text))));
  return make(
    "div",
    { className: "scroll", tabindex: "0", role: "region", "aria-label": title },
    make("table", {}, make("caption", {}, title), make("thead", {}, cells(head, "th")), make("tbody", {}, ...rows.map((row) => cells(row, "td")))),
  );
}
