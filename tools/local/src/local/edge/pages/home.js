"use strict";

const api = "/gateway/api";
const form = document.getElementById("enrich");
const outcome = document.getElementById("outcome");

function show(...parts) {
  outcome.replaceChildren(...parts);
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  if (text) made.textContent = text;
  return made;
}

async function call(path, options) {
  const response = await fetch(`${api}${path}`, options);
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({ title: response.statusText }));
  throw new Error(problem.detail || problem.title);
}

function follow(job) {
  const bar = element("progress", "", { max: 1 });
  const text = element("p", "Waiting for a worker …");
  show(text, bar);
  const events = new EventSource(`${api}/jobs/${job.id}/events`);
  const update = (event) => {
    const { progress } = JSON.parse(event.data);
    if (progress.total_bytes) bar.value = progress.bytes / progress.total_bytes;
    text.textContent = `${progress.rows.toLocaleString()} rows`;
  };
  events.addEventListener("progress", update);
  return new Promise((resolve) => {
    events.addEventListener("done", (event) => {
      events.close();
      resolve(JSON.parse(event.data));
    });
  });
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const chosen = form.elements.file.files[0];
  button.disabled = true;
  try {
    show(element("p", `Uploading ${chosen.name} …`));
    const name = encodeURIComponent(chosen.name);
    const file = await call(`/files?name=${name}`, { method: "POST", body: chosen });
    const headers = { "content-type": "application/json" };
    const job = await follow(await call("/jobs", { method: "POST", headers, body: JSON.stringify({ file: file.id }) }));
    if (job.status !== "succeeded") throw new Error(job.error ? job.error.detail : `The job was ${job.status}.`);
    const link = element("a", `Download ${job.result.name}`, { href: `${api}/jobs/${job.id}/result` });
    const report = element("a", "what was found", { href: `${api}/jobs/${job.id}/report?format=html` });
    const line = element("p");
    line.append(link, " · ", report);
    show(element("p", `Done: ${job.progress.rows.toLocaleString()} rows.`), line);
  } catch (error) {
    show(element("p", error.message, { className: "wrong" }));
  } finally {
    button.disabled = false;
  }
});

call("/departments").then(({ departments }) => {
  const rows = departments.flatMap((department) => [
    element("dt", department.display_name),
    element("dd", department.available ? department.datasets.map((each) => each.name).join(", ") : department.error),
  ]);
  const none = [element("dt", "Nothing"), element("dd", "Ask for membership in a department's group.")];
  document.getElementById("departments").replaceChildren(...(rows.length ? rows : none));
}).catch((error) => show(element("p", error.message, { className: "wrong" })));
