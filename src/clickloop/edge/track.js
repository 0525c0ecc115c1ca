// Clickloop: registers the visit of this page and gives its links the click ID. See docs/how-to/direct-tracking.md.
(() => {
  const script = document.currentScript || document.querySelector("script[src*='/track.js']");
  if (!script || window.clickloop) return;
  const base = new URL(script.src).origin;
  const SHAPE = /^[0-9a-z]{26}$/i;
  const queue = [];
  const originals = new WeakMap(); // link → its address as the page wrote it
  let started = false, known = false;
  const api = (window.clickloop = {
    cid: "",
    offers: [],
    values: {},
    consent: () => start(),
    event: (number, value = 1) => later(() => post({ cid: api.cid, events: { [number]: String(value) } })),
    // What the page calls a payout is sent under a name of its own: anybody can run a page's script.
    convert: ({ payout, ...conversion } = {}) =>
      later(() => {
        const query = new URLSearchParams({ cid: api.cid, ...conversion });
        if (payout !== undefined) query.set("page_payout", payout);
        send(`/pixel.gif?${query}`, { mode: "no-cors" });
      }),
  });
  const later = (call) => void (known ? call() : queue.push(call));
  // keepalive: it is sent even if the visitor leaves at once.
  const send = (path, options) => fetch(base + path, { keepalive: true, credentials: "omit", ...options }).catch(() => {});
  const post = (body) => send("/track", { method: "POST", body: JSON.stringify(body) }); // as text/plain, which needs no preflight

  function cookie() {
    const found = document.cookie.match(/(?:^|; )clickloop=([0-9a-z]{26})(?:;|$)/);
    // Another query is another visit: the visitor came by another ad.
    return found && (!location.search || remembered() === location.search) ? found[1] : "";
  }

  function remembered(search) {
    try {
      if (search) localStorage.clickloop = search;
      return localStorage.clickloop;
    } catch {} // storage is switched off
  }

  async function hints() {
    try {
      return await navigator.userAgentData.getHighEntropyValues(["model", "platformVersion", "fullVersionList"]);
    } catch {} // Firefox and Safari have none
  }

  async function start() {
    if (started) return;
    started = true;
    const given = new URLSearchParams(location.search).get("cid") || "";
    if (SHAPE.test(given)) api.cid = given.toLowerCase();
    whenRead(fill); // links work at once, even if the request below is blocked
    const answer = await post({
      campaign: script.dataset.campaign,
      url: location.href.slice(0, 2000),
      referrer: document.referrer.slice(0, 500),
      language: navigator.language,
      screen: `${screen.width}x${screen.height}`,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      hints: await hints(),
      cid: api.cid || cookie(),
      loaded: Math.round(performance.now()),
    });
    if (answer && answer.ok) Object.assign(api, await answer.json());
    if (!api.cid) return;
    known = true;
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `clickloop=${api.cid}; path=/; max-age=7776000; samesite=lax${secure}`;
    remembered(location.search);
    whenRead(() => {
      fill();
      queue.splice(0).forEach((call) => call());
      document.dispatchEvent(new CustomEvent("clickloop:ready", { detail: api }));
    });
  }

  function whenRead(call) {
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", call, { once: true });
    else call();
  }

  function fill() {
    if (!api.cid) return;
    document.querySelectorAll("a[href], a[data-clickloop-offer]").forEach(link);
    document.querySelectorAll("input[name=clickid]").forEach((input) => (input.value = api.cid));
  }

  function link(a) {
    const current = a.getAttribute("href") || "";
    const { original, filled } = originals.get(a) || {};
    const written = current === filled ? original : current;
    let href = written.replace(/\{clickid\}|%7Bclickid%7D/gi, api.cid);
    const offer = a.dataset.clickloopOffer;
    if (offer !== undefined) {
      const found = api.offers.find(({ n }) => String(n) === (offer || "1"));
      href = found ? found.url : `${base}/click/${offer || 1}`;
    }
    try {
      const url = new URL(href, location.href);
      if (url.origin === base && /^\/click(\/\d+)?$/.test(url.pathname)) {
        url.searchParams.set("cid", api.cid);
        href = url.href;
      }
    } catch {} // no address: left as it is
    if (href !== current) a.setAttribute("href", href);
    if (href !== written) originals.set(a, { original: written, filled: href });
  }

  // Links and fields that the page adds later are filled when they are used.
  function used({ target }) {
    const a = api.cid && target.closest && target.closest("a");
    if (a) link(a);
  }
  document.addEventListener("pointerdown", used, true);
  document.addEventListener("click", used, true);
  document.addEventListener("submit", fill, true);

  if ("consent" in script.dataset) return;
  if (document.prerendering) document.addEventListener("prerenderingchange", start, { once: true });
  else start();
})();
