// The first page: a file is chosen, its first rows are shown, it is enriched, and it is there to be downloaded.

import { batch } from "./batch.js";
import { make, number, table } from "./elements.js";
import { chooseNone, chosen, keep, offer, unfit } from "./recipes.js";
import { review } from "./review.js";
import { call, follow, reportUrl, resultUrl, send, sending, upload } from "./service.js";

const form = document.getElementById("form");
const input = document.getElementById("file");
const work = document.getElementById("work");
const list = document.getElementById("files");
const followed = new Set();

function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function say(...parts) {
  work.hidden = false;
  work.replaceChildren(...parts.filter(Boolean));
}

function bar(label, value) {
  const made = make("progress", { max: "1", "aria-label": label });
  if (value !== null) made.value = value;
  return made;
}

function failure(error, name) {
  if (error.status === 401) return; // told already, with a way on
  say(make("p", { className: "wrong", role: "alert" }, `${name ? `${name}: ` : ""}${error.message}`));
}

async function enrich(file, choices = {}) {
  input.disabled = true;
  let sent = file.id ? file : null;
  try {
    if (!sent) {
      const text = make("p", {}, `Sending ${file.name} …`);
      const progress = bar(`Sending ${file.name}`, 0);
      say(text, progress);
      sent = await upload(file, (share) => {
        progress.value = share;
        text.textContent = `Sending ${file.name}: ${Math.round(share * 100)} %`;
      });
    }
    await start(sent, choices);
  } catch (error) {
    if (error.type === "urn:fileproc:problem:recipe-does-not-fit") {
      decide(sent, error, choices);
      return;
    }
    failure(error, file.name);
  } finally {
    input.disabled = false;
    input.value = "";
  }
}

function take(files) {
  if (files.length === 1) {
    enrich(files[0]);
  } else if (files.length > 1) {
    say(...batch(files, chosen() ? { recipe: chosen() } : {}, ended, enrich));
    input.value = "";
  }
}

/** Follow a job in the list of files; its last state in words. */
async function ended(job) {
  followed.add(job.id);
  await refresh();
  const done = await follow(job, update);
  await refresh();
  if (done.error) throw new Error(done.error.detail);
  return words(done);
}

function decide(file, error, choices) {
  const without = () => {
    chooseNone();
    enrich(file);
  };
  say(...unfit(`${file.name}: ${error.message}`, () => enrich(file, { ...choices, anyway: true }), without));
  work.querySelector("h2").focus();
}

async function start(file, choices) {
  const wish = { file: file.id, ...choices, ...(chosen() && { recipe: chosen() }) };
  say(make("p", {}, `Looking at ${file.name} …`), bar(`Looking at ${file.name}`, null));
  const preview = await send("/preview", { ...wish, rows: 5 });
  if (preview.questions.length && !choices.mapping) {
    ask(file, preview, choices);
    return;
  }
  await run(await send("/jobs", wish), preview);
}

async function run(job, preview) {
  const { name } = job.file;
  const progress = bar(`Enriching ${name}`, null);
  const text = make("p", {}, `Enriching ${name} …`);
  const warnings = preview ? preview.warnings.map((warning) => make("p", { className: "note" }, warning)) : [];
  say(text, progress, ...warnings, preview && firstRows(preview));
  followed.add(job.id);
  refresh();
  const done = await follow(job, (now) => {
    const { rows, bytes, total_bytes: total } = now.progress;
    if (total) progress.value = bytes / total;
    if (now.status === "running") text.textContent = `Enriching ${name}: ${number(rows)} rows so far`;
    update(now);
  });
  await refresh();
  if (done.status !== "succeeded") {
    throw new Error(done.error ? done.error.detail : "The job was cancelled.");
  }
  await finished(done, preview);
}

async function finished(job, preview) {
  const report = await call(`/jobs/${job.id}/report`);
  const approval = await review(job, report, (repaired) => run(repaired).catch((error) => failure(error, job.file.name)));
  const title = make("h2", { tabindex: "-1" }, `${job.file.name} is ready`);
  say(
    title,
    make(
      "p",
      { className: "actions" },
      make("a", { className: "button", href: resultUrl(job), download: "" }, `Download ${job.result.name}`),
      make("a", { href: reportUrl(job), target: "_blank", rel: "noopener" }, "The whole report"),
    ),
    make("p", {}, `${number(report.rows)} rows, ${report.columns_added.length} columns added, ${size(job.result.size)}.`),
    found(report),
    approval,
    keep(job),
    preview && firstRows(preview),
  );
  title.focus();
}

function found(report) {
  const rows = report.mappings.map((each) => [
    each.column,
    each.dataset,
    number(each.matched),
    number(each.unmatched),
    each.unmatched_sample.slice(0, 3).map((key) => key.key).join(", "),
  ]);
  return table("What was found", ["Column", "Looked up in", "Found", "Not found", "For example"], rows);
}

function firstRows(preview) {
  const keys = new Set(preview.mapping.map((each) => each.column));
  const starts = preview.mapping.map((each) => `${each.column}.${each.dataset.split(".")[0]}.`);
  const isAdded = (name) => starts.some((start) => name.startsWith(start));
  const rank = (name) => (keys.has(name) ? 0 : isAdded(name) ? 1 : 2);
  const shown = preview.columns
    .map((name, index) => ({ name, index }))
    .sort((one, other) => rank(one.name) - rank(other.name) || one.index - other.index)
    .slice(0, 10)
    .sort((one, other) => one.index - other.index);
  const rows = preview.rows.map((row) => shown.map(({ index }) => row[index] ?? ""));
  const left = preview.columns.length - shown.length;
  const title = left > 0 ? `The first rows (${left} more columns are in the file)` : "The first rows";
  return table(title, shown.map(({ name }) => name), rows, shown.map(({ name }) => isAdded(name)));
}

function ask(file, preview, choices) {
  const questions = preview.questions.map((question, index) => {
    const options = [...question.candidates, ""].map((candidate) =>
      make("option", { value: candidate }, candidate || "None of these"),
    );
    const select = make("select", { id: `question-${index}`, "data-column": question.column }, ...options);
    return make("p", {}, make("label", { for: `question-${index}` }, question.detail), select);
  });
  const answered = (event) => {
    event.preventDefault();
    const mapping = {};
    for (const each of preview.mapping) mapping[each.column] = [...(mapping[each.column] || []), each.dataset];
    for (const each of event.target.querySelectorAll("select")) {
      if (each.value) mapping[each.dataset.column] = [...(mapping[each.dataset.column] || []), each.value];
    }
    enrich(file, { ...choices, mapping });
  };
  say(
    make("h2", {}, "What do these columns hold?"),
    make("form", { onsubmit: answered }, ...questions, make("button", { className: "button" }, "Continue")),
    firstRows(preview),
  );
}

const STATES = { queued: "Queued", running: "Processing", failed: "Failed", cancelled: "Cancelled", succeeded: "Done" };

function words(job) {
  const { found, keys } = job.result ?? {};
  return keys ? `${STATES[job.status]}: ${number(found)} of ${number(keys)} found` : STATES[job.status];
}

function entry(job) {
  const name = make("span", { className: "name" }, job.file.name);
  const state = make("span", { className: `state ${job.status}` }, words(job));
  const actions = make("span", { className: "actions" });
  if (job.status === "succeeded") {
    actions.append(
      make("a", { href: resultUrl(job), download: "", "aria-label": `Download ${job.result.name}` }, "Download"),
      make("a", { href: reportUrl(job), target: "_blank", rel: "noopener", "aria-label": `Report on ${job.file.name}` }, "Report"),
      make("button", { type: "button", "aria-label": `Review ${job.file.name}`, onclick: () => finished(job).catch(failure) }, "Review"),
    );
  } else if (job.status === "queued" || job.status === "running") {
    const { rows, bytes, total_bytes: total } = job.progress;
    state.textContent = rows ? `Processing: ${number(rows)} rows` : STATES[job.status];
    actions.append(bar(`Progress of ${job.file.name}`, total ? bytes / total : null));
    actions.append(make("button", { type: "button", "aria-label": `Cancel ${job.file.name}`, onclick: () => act(`/jobs/${job.id}`, "DELETE") }, "Cancel"));
  } else if (job.retryable) {
    actions.append(make("button", { type: "button", "aria-label": `Retry ${job.file.name}`, onclick: () => act(`/jobs/${job.id}/retry`, "POST") }, "Retry"));
  }
  if (job.finished_at) actions.append(removal("Delete", job.file.name, `/files/${job.file.id}`));
  const reason = job.error ? make("p", { className: "reason" }, job.error.detail) : null;
  return make("li", { "data-job": job.id, "data-status": job.status }, name, when(job), state, actions, reason);
}

function when(record) {
  const text = new Date(record.created_at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
  return make("time", { datetime: record.created_at }, text);
}

// A file that no job was started on, or an upload that is not complete: it takes room, so it can be seen and removed.
function leftover(record, state, verb, path) {
  const name = make("span", { className: "name" }, record.name);
  const actions = make("span", { className: "actions" }, removal(verb, record.name, path));
  return make("li", { "data-left": record.id }, name, when(record), make("span", { className: "state" }, state), actions);
}

function removal(verb, name, path) {
  const remove = () => confirm(`${verb} ${name}? This cannot be undone.`) && act(path, "DELETE");
  return make("button", { type: "button", "aria-label": `${verb} ${name}`, onclick: remove }, verb);
}

async function act(path, method) {
  try {
    await call(path, { method });
    await refresh();
  } catch (error) {
    failure(error);
  }
}

function update(job) {
  const before = document.querySelector(`[data-job="${CSS.escape(job.id)}"]`);
  if (!before) return;
  // Who is on one of its buttons stays there.
  const label = before.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
  const now = entry(job);
  before.replaceWith(now);
  if (label) now.querySelector(`[aria-label="${CSS.escape(label)}"]`)?.focus();
}

async function refresh() {
  const [{ jobs }, { files }, { uploads }] = await Promise.all(
    ["/jobs?limit=20", "/files?limit=20", "/uploads?limit=20"].map((path) => call(path)),
  );
  const used = new Set(jobs.map((job) => job.file.id));
  const entries = [
    ...jobs.map((job) => [job, entry(job)]),
    ...files
      .filter((file) => !used.has(file.id))
      .map((file) => [file, leftover(file, "stored", "Delete", `/files/${file.id}`)]),
    ...uploads
      .filter((upload) => !sending.has(upload.id))
      .map((upload) => [upload, leftover(upload, "upload not complete", "Abort", `/uploads/${upload.id}`)]),
  ];
  entries.sort(([one], [other]) => (one.created_at < other.created_at ? 1 : -1));
  document.getElementById("no-files").hidden = entries.length > 0;
  list.replaceChildren(...entries.map(([, made]) => made));
  for (const job of jobs) {
    if (job.finished_at || followed.has(job.id)) continue;
    followed.add(job.id); // it was begun before this page was opened, or in another window
    follow(job, update).then(refresh, () => null);
  }
}

async function departments() {
  const { departments: all } = await call("/departments");
  const rows = all.flatMap((department) => [
    make("dt", {}, department.display_name),
    make("dd", {}, department.available ? department.datasets.map((each) => each.name).join(", ") : "not available at the moment"),
  ]);
  const none = [make("dt", {}, "None yet"), make("dd", {}, "The owners of a department decide who can use its data.")];
  document.getElementById("departments").replaceChildren(...(rows.length ? rows : none));
  if (!rows.length) {
    input.disabled = true;
    say(make("p", { className: "note" }, "You have no access to a department yet, so your file would come back unchanged. Ask the department's owner or your help desk for access."));
  }
}

document.addEventListener("signed-out", () => {
  say(
    make("p", { className: "wrong", role: "alert" }, "Your session has expired. Sign in again, then choose the file again."),
    make("p", {}, make("a", { className: "button", href: "/" }, "Sign in again")),
  );
});
input.addEventListener("change", () => take([...input.files]));
form.addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover"]) {
  form.addEventListener(name, (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) form.addEventListener(name, () => form.classList.remove("over"));
form.addEventListener("drop", (event) => {
  event.preventDefault();
  if (!input.disabled) take([...event.dataTransfer.files]);
});

refresh().catch(failure);
offer().catch(failure);
departments().catch(failure);
// A link in the chat leads to the keys that a job did not find.
const reviewed = new URLSearchParams(location.search).get("review");
if (reviewed) call(`/jobs/${encodeURIComponent(reviewed)}`).then((job) => finished(job)).catch(failure);
