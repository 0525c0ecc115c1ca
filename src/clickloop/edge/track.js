// Clickloop: registers the visit of this page and gives its links the click id. See docs/how-to/direct-tracking.md.
(() => {
  const script = document.currentScript || document.querySelector("script[data-campaign]");
  if (!script || window.clickloop) return;
  const base = new URL(script.src).origin;
  const queue = [];
  const api = (window.clickloop = {
    cid: "",
    values: {},
    consent: () => start(),
    event: (number, value = 1) => later(() => notice({ [`event${number}`]: value })),
    convert: (conversion = {}) => later(() => notice(conversion)),
  });
  const later = (call) => (api.cid ? call() : queue.push(call));

  function notice(fields) {
    const query = new URLSearchParams({ cid: api.cid });
    for (const name of Object.keys(fields)) query.set(name, fields[name]);
    new Image().src = `${base}/pixel.gif?${query}`;
  }

  function cookie() {
    const found = document.cookie.match(/(?:^|; )clickloop=([0-9a-z]{26})/);
    return found ? found[1] : "";
  }

  async function hints() {
    try {
      return await navigator.userAgentData.getHighEntropyValues(["model", "platform", "platformVersion", "fullVersionList"]);
    } catch {
      return undefined; // Firefox and Safari have none
    }
  }

  async function start() {
    if (api.started) return;
    api.started = true;
    const visit = {
      campaign: script.dataset.campaign || "",
      url: location.href.slice(0, 2000),
      referrer: document.referrer.slice(0, 1000),
      language: navigator.language,
      screen: `${screen.width}x${screen.height}`,
      timezone: Intl.DateTimeFormat().resolvedOptions().timeZone,
      hints: await hints(),
      cid: new URLSearchParams(location.search).get("cid") || cookie(),
    };
    // text/plain needs no preflight; keepalive lets it finish when the visitor leaves at once.
    const answer = await fetch(`${base}/track`, { method: "POST", body: JSON.stringify(visit), keepalive: true, credentials: "omit" });
    if (!answer.ok) return;
    const { cid, offers = [], values = {} } = await answer.json();
    if (!cid) return;
    Object.assign(api, { cid, offers, values });
    document.cookie = `clickloop=${cid}; path=/; max-age=7776000; samesite=lax${location.protocol === "https:" ? "; secure" : ""}`;
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", fill);
    else fill();
    queue.splice(0).forEach((call) => call());
  }

  function fill() {
    document.querySelectorAll("a[href]").forEach(link);
    document.querySelectorAll("input[name=clickid]").forEach((input) => (input.value = api.cid));
    // Links that the page adds later are filled when they are pressed.
    document.addEventListener("click", (event) => link(event.target.closest && event.target.closest("a[href]")), true);
    document.dispatchEvent(new CustomEvent("clickloop:ready", { detail: api }));
  }

  function link(a) {
    if (!a) return;
    const offer = a.dataset.clickloopOffer;
    let href = a.getAttribute("href");
    if (offer !== undefined) {
      const found = api.offers.find(({ n }) => String(n) === (offer || "1"));
      href = found ? found.url : `${base}/click/${offer || 1}`;
    }
    href = href.replace(/\{clickid\}|%7Bclickid%7D/gi, api.cid);
    try {
      const url = new URL(href, location.href);
      if (url.origin === base && /^\/click(\/\d+)?$/.test(url.pathname) && !url.searchParams.has("cid")) {
        url.searchParams.set("cid", api.cid);
        href = url.href;
      }
    } catch {} // no address: left as it is
    if (href !== a.getAttribute("href")) a.setAttribute("href", href);
  }

  if (!("consent" in script.dataset)) start().catch(() => {});
})();
