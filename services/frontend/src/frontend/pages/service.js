// The service as the browser sees it: /gateway/api on the same host, whose login the browser has already.

const api = "/gateway/api";
const LARGE = 64 * 1024 * 1024; // as the command-line client: from here on in parts, straight to storage
const PARALLEL = 3;
const ATTEMPTS = 4;

const ADVICE = {
  "urn:fileproc:problem:nothing-to-enrich":
    " If the file belongs to another department, ask its owners, or your help desk, for access.",
};

export class Problem extends Error {
  constructor(problem, status) {
    const text = problem.detail || problem.title || "Something went wrong. Retry in a few minutes.";
    super(text + (ADVICE[problem.type] || ""));
    this.questions = problem.questions || [];
    this.status = status;
    this.type = problem.type;
  }
}

export async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(`${api}${path}`, { redirect: "manual", ...options });
  } catch {
    throw new Problem({ detail: "The service cannot be reached. Check your connection and retry." }, 0);
  }
  if (response.type === "opaqueredirect" || response.status === 401) {
    document.dispatchEvent(new Event("signed-out"));
    throw new Problem({ detail: "Your session has expired. Sign in again, then choose the file again." }, 401);
  }
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(body, response.status);
  return body;
}

export function send(path, body, method = "POST") {
  return call(path, { method, headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

/** The uploads that this page is sending. */
export const sending = new Set();

/** Upload a file; onProgress is told the part that has arrived, from 0 to 1. */
export async function upload(file, onProgress) {
  if (file.size < LARGE) {
    return put("POST", `${api}/files?name=${encodeURIComponent(file.name)}`, file, onProgress).then((request) =>
      answer(request),
    );
  }
  const begun = await send("/uploads", { name: file.name, size: file.size });
  sending.add(begun.id);
  const arrived = new Map();
  const waiting = [...begun.parts];
  const parts = [];
  async function work() {
    for (let part = waiting.shift(); part; part = waiting.shift()) {
      const start = (part.number - 1) * begun.part_size;
      const piece = file.slice(start, start + begun.part_size);
      const request = await again(() =>
        put("PUT", part.url, piece, (share) => {
          arrived.set(part.number, share * piece.size);
          onProgress([...arrived.values()].reduce((sum, each) => sum + each, 0) / file.size);
        }),
      );
      parts.push({ number: part.number, etag: request.getResponseHeader("etag") });
    }
  }
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
    return await send(`/uploads/${begun.id}/complete`, { parts });
  } catch (error) {
    waiting.length = 0;
    await call(`/uploads/${begun.id}`, { method: "DELETE" }).catch(() => null);
    throw error;
  } finally {
    sending.delete(begun.id);
  }
}

async function again(attempt) {
  for (let count = 1; ; count += 1) {
    try {
      const request = await attempt();
      if (request.status < 300) return request;
      throw new Problem({ detail: "The storage did not accept the file. Retry in a few minutes." }, request.status);
    } catch (error) {
      if (count === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * 2 ** count));
    }
  }
}

// XMLHttpRequest, because fetch does not tell how much of a body was sent.
function put(method, url, body, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => resolve(request);
    request.onerror = () =>
      reject(new Problem({ detail: "The connection was lost while the file was being sent. Choose the file again." }, 0));
    request.send(body);
  });
}

function answer(request) {
  let body = {};
  try {
    body = JSON.parse(request.responseText);
  } catch {
    /* it is not the service that answered */
  }
  if (request.status === 401 || (request.status === 200 && !body.id)) {
    document.dispatchEvent(new Event("signed-out"));
    throw new Problem({ detail: "Your session has expired. Sign in again, then choose the file again." }, 401);
  }
  if (request.status >= 300) throw new Problem(body, request.status);
  return body;
}

/** Follow a job; resolves with its last state. */
export function follow(job, onChange) {
  return new Promise((resolve, reject) => {
    const events = new EventSource(`${api}/jobs/${job.id}/events`);
    let failures = 0;
    events.addEventListener("progress", (event) => {
      failures = 0;
      onChange(JSON.parse(event.data));
    });
    events.addEventListener("done", (event) => {
      events.close();
      resolve(JSON.parse(event.data));
    });
    events.addEventListener("error", async () => {
      failures += 1;
      if (events.readyState !== EventSource.CLOSED && failures < 5) return;
      events.close();
      call(`/jobs/${job.id}`).then(
        (found) => (found.finished_at ? resolve(found) : setTimeout(() => follow(job, onChange).then(resolve, reject), 2000)),
        reject,
      );
    });
  });
}

export const resultUrl = (job) => `${api}/jobs/${job.id}/result`;
export const reportUrl = (job) => `${api}/jobs/${job.id}/report?format=html`;
