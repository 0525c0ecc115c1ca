// Copy buttons, rows added in place, confirmations and live parts. Every page also works without this script.
import { startFlowEditor } from "./flow.js";
import { startMacroFields } from "./macros.js";

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.copy) {
    const field = document.getElementById(button.dataset.copy);
    field.select?.();
    try {
      await navigator.clipboard.writeText(field.value ?? field.textContent);
    } catch {
      document.execCommand("copy"); // no clipboard API without TLS
    }
    const name = button.textContent;
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = name; }, 1500);
  }
  if (button.dataset.addRow) {
    event.preventDefault();
    addRow(document.getElementById(button.dataset.addRow));
  }
  if (button.dataset.removeRow !== undefined) {
    event.preventDefault();
    removeRow(button.closest("tr"), button.dataset.removeRow, button.dataset.holds ?? "");
  }
});

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
  if (question && !window.confirm(question)) event.preventDefault();
});

// Disables a form's buttons once it is sent, so that a second click does not repeat it; pageshow enables them, as after going back.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const opensElsewhere = form.hasAttribute("target") || event.submitter?.hasAttribute("formtarget");
  if (event.defaultPrevented || form.getAttribute("method") !== "post" || opensElsewhere) return;
  setTimeout(() => { // deferred: a button disabled now would not send its name
    for (const button of buttonsOf(form)) button.disabled = true;
  });
});

addEventListener("pageshow", () => {
  for (const form of document.forms) for (const button of buttonsOf(form)) button.disabled = false;
});

function buttonsOf(form) {
  return [...form.elements].filter((element) => element.type === "submit");
}

// A table's <template> is its blank row; __n__ in it becomes the next index.
function addRow(table) {
  const blank = table.querySelector("template");
  const next = Number(table.dataset.next);
  table.dataset.next = String(next + 1);
  const holder = document.createElement("tbody");
  holder.innerHTML = blank.innerHTML.replaceAll("__n__", String(next));
  const row = holder.firstElementChild;
  table.tBodies[0].append(row);
  row.querySelector("input:not([type=hidden])")?.focus();
}

// A removed row is hidden and its fields are disabled until the form is sent, so that removing can be undone.
function removeRow(row, name, holds) {
  const fields = [...row.querySelectorAll("input, select, textarea")].filter((field) => !field.disabled);
  const isBlank = !fields.some((field) => field.value && field.dataset.weight === undefined && !["hidden", "checkbox"].includes(field.type));
  if (isBlank) {
    row.remove();
    return;
  }
  const note = document.createElement("tr");
  note.className = "undo";
  const cell = note.appendChild(document.createElement("td"));
  cell.colSpan = row.cells.length;
  cell.append(`${name} will be removed when you save. ${holds} `.replace("  ", " "));
  const undo = cell.appendChild(document.createElement("button"));
  undo.type = "button";
  undo.textContent = "Undo";
  const show = (removed) => {
    row.hidden = removed;
    for (const field of fields) field.disabled = removed;
    const form = row.closest("form");
    form?.dispatchEvent(new Event("input", { bubbles: true }));
    form?.dispatchEvent(new Event("change", { bubbles: true }));
  };
  undo.addEventListener("click", () => {
    note.remove();
    show(false);
    row.querySelector("button")?.focus();
  });
  row.after(note);
  show(true);
  undo.focus();
}

// A form with data-unsaved asks before its input is lost. "changed": it was submitted and is shown again, unsaved.
const leaving = new Set();
for (const form of document.querySelectorAll("form[data-unsaved]")) {
  const asShown = form.dataset.unsaved === "changed" ? null : contentOf(form);
  form.addEventListener("submit", () => leaving.add(form));
  addEventListener("beforeunload", (event) => {
    if (!leaving.has(form) && contentOf(form) !== asShown) event.preventDefault();
  });
}
addEventListener("pageshow", () => leaving.clear());

function contentOf(form) {
  return JSON.stringify([...new FormData(form)].filter(([, value]) => typeof value === "string"));
}

// A form with data-passwords gets a switch to show them.
for (const form of document.querySelectorAll("form[data-passwords]")) {
  const fields = [...form.querySelectorAll("input[type=password]")];
  const line = document.createElement("p");
  line.className = "shown-passwords";
  const label = line.appendChild(document.createElement("label"));
  const box = label.appendChild(document.createElement("input"));
  box.type = "checkbox";
  label.append(fields.length > 1 ? " Show passwords" : " Show password");
  box.addEventListener("change", () => { for (const field of fields) field.type = box.checked ? "text" : "password"; });
  form.addEventListener("submit", () => { for (const field of fields) field.type = "password"; });
  form.querySelector(".buttons").before(line);
}

// A form with data-auto is submitted when a choice changes.
document.addEventListener("change", (event) => {
  const form = event.target.form;
  if (form?.dataset.auto !== undefined && event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
});

// A part with data-refresh is fetched again as long as the fresh one has the attribute, too.
for (const part of document.querySelectorAll("[data-refresh]")) refresh(part);

function refresh(part) {
  setTimeout(async () => {
    try {
      const response = await fetch(part.dataset.refresh, { headers: { Accept: "text/html" } });
      if (!response.ok) return refresh(part);
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const fresh = page.getElementById(part.id);
      if (!fresh) return;
      part.replaceWith(fresh);
      if (fresh.dataset.refresh) refresh(fresh);
    } catch {
      refresh(part);
    }
  }, 1500);
}

// A part with data-live is rendered again by the server while the user fills in the form around it.
for (const part of document.querySelectorAll("[data-live]")) {
  const form = part.closest("form");
  let timer = 0;
  let latest = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const number = ++latest;
      try {
        const response = await fetch(part.dataset.live, { method: "POST", body: new URLSearchParams(new FormData(form)) });
        if (response.ok && number === latest) part.innerHTML = await response.text(); // escaped by the server
      } catch {
        // the server is unreachable: keep what is shown
      }
    }, 250);
  });
}

// In a table with data-shares, each row's [data-share] shows its weight's share of the total.
for (const table of document.querySelectorAll("table[data-shares]")) {
  const showShares = () => {
    const rows = [...table.tBodies[0].rows].map((row) => ({
      weight: !row.hidden && row.querySelector("[data-chosen]")?.value ? Math.max(0, Number(row.querySelector("[data-weight]")?.value) || 0) : 0,
      share: row.querySelector("[data-share]"),
    }));
    const total = rows.reduce((sum, row) => sum + row.weight, 0);
    for (const row of rows) if (row.share) row.share.textContent = total && row.weight ? `${(100 * row.weight / total).toFixed(1)}%` : "–";
  };
  table.closest("form").addEventListener("input", showShares);
  document.addEventListener("click", () => setTimeout(showShares, 0));
}

// On a small screen, filters are folded: they would push the first row off it.
const small = window.matchMedia("(max-width: 34rem)");
const fold = () => { for (const part of document.querySelectorAll("details.fold")) part.open = !small.matches; };
small.addEventListener("change", fold);
fold();

startMacroFields();
startFlowEditor();
