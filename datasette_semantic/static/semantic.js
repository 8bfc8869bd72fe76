/* Refreshes results and facets in place. The page is whole without it: every step here is an address that the server
   answers too, and whenever anything goes wrong the browser simply goes there. */
(() => {
  "use strict";

  const TYPING_PAUSE = 250; // milliseconds without a keystroke before the page searches
  const form = document.querySelector(".semantic-form");
  if (!form || !window.fetch || !window.DOMParser) return;
  const box = form.elements.q;
  let running = null; // the request under way
  let timer = 0;
  let typing = false; // true while one run of keystrokes goes on: it becomes one entry of the history

  const live = () => document.getElementById("semantic-live");
  const own = (url) => url.origin === location.origin && url.pathname === location.pathname;

  function addressOfForm() {
    const pairs = [...new FormData(form)].filter(([, value]) => value !== "");
    const kept = pairs.filter(([name]) => !name.startsWith("_filter_"));
    return new URL(`${form.action.split("?")[0]}?${new URLSearchParams(kept)}`, location.href);
  }

  function openParts() {
    return new Set([...live().querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key));
  }

  function show(page, focusKey) {
    const open = openParts();
    const next = page.getElementById("semantic-live");
    if (!next) throw new Error("not a search page");
    for (const each of next.querySelectorAll("details[data-key]")) each.open = each.open || open.has(each.dataset.key);
    live().replaceWith(document.adoptNode(next));
    document.title = page.title;
    const fresh = page.querySelector(".semantic-form");
    for (const old of form.querySelectorAll("input[type=hidden]")) old.remove();
    for (const hidden of fresh.querySelectorAll("input[type=hidden]")) form.append(document.adoptNode(hidden));
    for (const radio of form.querySelectorAll("input[name=mode]")) {
      radio.checked = Boolean(fresh.querySelector(`input[name=mode][value="${radio.value}"][checked]`));
    }
    if (document.activeElement !== box) box.value = fresh.elements.q.value;
    const target = focusKey && live().querySelector(`[data-key="${CSS.escape(focusKey)}"]`);
    if (target) target.focus({ preventScroll: true });
  }

  async function go(url, { history: entry = "push", focusKey = null, toTop = false } = {}) {
    clearTimeout(timer);
    if (running) running.abort();
    const mine = (running = new AbortController());
    live().setAttribute("aria-busy", "true");
    try {
      const response = await fetch(url, { signal: mine.signal, headers: { Accept: "text/html" } });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      if (mine.signal.aborted) return;
      if (entry === "push") history.pushState(null, "", url);
      if (entry === "replace") history.replaceState(null, "", url);
      show(page, focusKey);
      if (toTop) window.scrollTo({ top: 0 });
    } catch (error) {
      if (error.name === "AbortError") return;
      location.assign(url);
    } finally {
      if (running === mine) {
        running = null;
        live()?.removeAttribute("aria-busy");
      }
    }
  }

  form.addEventListener("submit", (event) => {
    if (form.elements._filter_column?.value) return; // the server makes one argument of the three fields
    event.preventDefault();
    go(addressOfForm(), { history: typing ? "replace" : "push" });
    typing = false;
  });

  form.addEventListener("change", (event) => {
    if (event.target.name === "mode") go(addressOfForm());
  });

  // A model that may cost money is asked only when the form is sent.
  if (form.dataset.live === "yes") {
    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        go(addressOfForm(), { history: typing ? "replace" : "push" });
        typing = true;
      }, TYPING_PAUSE);
    });
    box.addEventListener("blur", () => (typing = false));
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest("#semantic-live a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (!own(url)) return;
    event.preventDefault();
    typing = false;
    const paging = link.rel === "next" || link.rel === "prev";
    const like = url.searchParams.has("like");
    if (like) box.value = "";
    go(url, { focusKey: link.dataset.key, toTop: paging || like });
  });

  window.addEventListener("popstate", () => {
    typing = false;
    box.blur();
    go(location.href, { history: "none" });
  });
})();
