// Inside Langflow's page: opens the Playground where a link asks for it, tells when a sign-in has ended, and keeps the
// page from asking anybody outside.
(() => {
  "use strict";

  if (!localStorage.getItem("isDark")) localStorage.setItem("isDark", "false");

  // Langflow takes a request like the one before it, within 0.3 s, for a mistake, and fails: also after a reload.
  const keep = Storage.prototype.setItem;
  Storage.prototype.setItem = function (key, value) {
    if (key !== "lastUrlCalled") keep.call(this, key, value);
  };

  // The tab has our name, whatever Langflow calls itself in it.
  new MutationObserver(() => {
    if (document.title.includes("Langflow")) document.title = document.title.replace("Langflow", "File Processing");
  }).observe(document.querySelector("title"), { childList: true });

  // Whether the load balancer still knows the browser: it sends one that it does not know to the login.
  let asking = false;
  async function check() {
    if (asking) return;
    asking = true;
    try {
      const response = await plain("/fileproc/session", { redirect: "manual" });
      if (response.type === "opaqueredirect" || response.status === 401) location.reload();
    } catch {
      /* the connection is gone, not the login */
    } finally {
      setTimeout(() => (asking = false), 5000);
    }
  }
  const plain = window.fetch.bind(window);
  window.fetch = async (...request) => {
    try {
      const response = await plain(...request);
      if (response.status === 401 || response.redirected) check();
      return response;
    } catch (error) {
      check();
      throw error;
    }
  };
  const open = XMLHttpRequest.prototype.open;
  XMLHttpRequest.prototype.open = function (method, address, ...rest) {
    this.addEventListener("error", check);
    this.addEventListener("load", () => this.status === 401 && check());
    // Counts of stars and members, which would tell others who works here.
    const outside = new URL(address, location.href).origin !== location.origin;
    return open.call(this, method, outside ? "/fileproc/none/" : address, ...rest);
  };

  // The logo leads to the first page, which is not one of Langflow's.
  document.addEventListener(
    "click",
    (event) => {
      if (!event.target.closest?.('[data-testid="icon-ChevronLeft"]')) return;
      event.stopImmediatePropagation();
      location.assign("/");
    },
    true,
  );

  // The Playground is opened where a link asks for it, and after a reload in the middle of a chat.
  const CHAT = "chat-is-open";
  const flow = /^\/flow\/([^/]+)/.exec(location.pathname)?.[1];
  if (location.hash === "#playground") sessionStorage.setItem(CHAT, flow);
  document.addEventListener(
    "click",
    (event) => event.target.closest?.('[data-testid="playground-close-button"]') && sessionStorage.removeItem(CHAT),
    true,
  );
  if (!flow || sessionStorage.getItem(CHAT) !== flow) return;
  const deadline = Date.now() + 60000;
  let pressed = 0;
  const timer = setInterval(() => {
    const input = document.querySelector('[data-testid="input-chat-playground"]');
    if (input?.checkVisibility({ visibilityProperty: true }) || Date.now() > deadline) return clearInterval(timer);
    // A second press would close what a slow machine is still opening.
    const button = document.querySelector('[data-testid="playground-btn-flow-io"]');
    if (!button || Date.now() - pressed < 5000) return;
    pressed = Date.now();
    button.click();
  }, 250);
})();
