// The editor of flows: buttons that change the form are sent in the background, and shares follow the weights.
const FORM = "form[data-steps]";

export function startFlowEditor() {
  if (!document.querySelector(FORM)) return;
  // Before the listeners that disable the form's buttons and let the page be left.
  document.addEventListener("submit", onSubmit, { capture: true });
  document.addEventListener("change", onChange);
  document.addEventListener("input", onInput);
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", onClick);
}

function onSubmit(event) {
  const button = event.submitter;
  if (!event.target.matches(FORM) || button?.name !== "do") return;
  event.preventDefault();
  event.stopImmediatePropagation();
  show(event.target, button.value, button);
}

// What a choice changes in the form around it is rendered by the server.
function onChange(event) {
  const form = event.target.closest(FORM);
  if (!form) return;
  if (event.target.dataset.refreshStep !== undefined) show(form, "refresh", event.target);
  else if (event.target.closest("#flow") && !event.target.dataset.enter) reread(form);
}

let latest = 0;
let latestReading = 0;

async function fetched(form, step) {
  const body = new URLSearchParams(new FormData(form));
  body.set("do", step);
  const response = await fetch(form.action, { method: "POST", body });
  if (!response.ok || response.redirected) throw new Error("not shown");
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// After any other change the sentences are read again; the fields stay as they are, since somebody may be typing.
async function reread(form) {
  const shown = latest, number = ++latestReading;
  try {
    const page = await fetched(form, "refresh");
    if (shown !== latest || number !== latestReading) return;
    for (const sentence of form.querySelectorAll(".rule > .reads")) {
      const fresh = page.getElementById(sentence.parentElement.id)?.querySelector(".reads");
      if (fresh) sentence.textContent = fresh.textContent;
    }
  } catch {
    // They are read again when the form is shown.
  }
}

async function show(form, step, origin) {
  const number = ++latest;
  let page;
  try {
    page = await fetched(form, step);
  } catch {
    sendWhole(form, step); // signed out, or the server is away: let the browser show what there is
    return;
  }
  if (number !== latest) return;
  const fresh = page.querySelector(FORM);
  if (!fresh) return sendWhole(form, step);
  const id = origin.id;
  form.replaceChildren(...fresh.childNodes); // escaped by the server
  const part = document.getElementById(form.querySelector("#flow")?.dataset.focus ?? "");
  const target = (id && document.getElementById(id)) || part?.querySelector("[data-first]") || part?.querySelector("input:not([type=hidden]), select, button");
  target?.focus({ preventScroll: true });
  target?.scrollIntoView({ block: "nearest" });
}

function sendWhole(form, step) {
  const field = document.createElement("input");
  field.type = "hidden";
  field.name = "do";
  field.value = step;
  form.append(field);
  form.submit();
}

function onInput(event) {
  const form = event.target.closest(FORM);
  if (!form || !(event.target.dataset.group || event.target.dataset.chosen !== undefined)) return;
  const fields = [...form.querySelectorAll("[data-group]")];
  for (const group of new Set(fields.map((field) => field.dataset.group))) {
    const rows = fields.filter((field) => field.dataset.group === group).map((field) => {
      const chosen = field.closest(".share")?.querySelector("[data-chosen]");
      const counts = chosen ? chosen.value : true;
      return { weight: counts ? Math.max(0, Number(field.value === "" ? 100 : field.value) || 0) : 0, share: field.parentElement.querySelector("[data-share]") };
    });
    const whole = rows.reduce((sum, row) => sum + row.weight, 0);
    for (const row of rows) row.share.textContent = whole && row.weight ? `${(100 * row.weight / whole).toFixed(1).replace(/\.0$/, "")}%` : "–";
  }
}

// Enter in a field with data-enter presses that button instead of saving.
function onKey(event) {
  const step = event.target.dataset?.enter;
  if (event.key !== "Enter" || !step) return;
  event.preventDefault();
  event.target.form.requestSubmit(event.target.form.querySelector(`button[name=do][value=${step}]`));
}

// In the grid of hours, the name of a day or an hour ticks all of it.
function onClick(event) {
  const head = event.target.closest(".hours th");
  if (!head) return;
  const table = head.closest("table");
  const column = head.cellIndex;
  const boxes = [...(head.scope === "row" ? head.parentElement : table.tBodies[0]).querySelectorAll("input")].filter((box) => head.scope === "row" || box.closest("td").cellIndex === column);
  const ticked = boxes.some((box) => !box.checked);
  for (const box of boxes) if (!box.disabled) box.checked = ticked;
  table.closest("form").dispatchEvent(new Event("input", { bubbles: true }));
}
