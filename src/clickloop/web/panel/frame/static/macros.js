// The macro editor: a click on a chip inserts its macro at the cursor; the server says while one types what it makes of the text.
const PAUSE_MS = 180;

export function startMacroFields() {
  for (const editor of document.querySelectorAll("[data-macro-editor]")) start(editor);
}

function start(editor) {
  const field = editor.querySelector("textarea, input:not([type=hidden])");
  const told = editor.querySelector("[data-preview]");
  let timer = 0;
  let asked = 0;
  editor.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (!chip) return;
    event.preventDefault();
    field.setRangeText(chip.dataset.macro, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    look(0);
  });
  field.addEventListener("input", () => look(PAUSE_MS));
  field.form?.addEventListener("change", () => look(PAUSE_MS));

  function look(pause) {
    clearTimeout(timer);
    timer = setTimeout(ask, pause);
  }

  async function ask() {
    const number = ++asked;
    const body = new URLSearchParams(new FormData(field.form));
    body.set("field", field.name);
    let answer;
    try {
      answer = await fetch(editor.dataset.macroEditor, { method: "POST", body });
    } catch {
      return; // the server is away: what is shown stays
    }
    if (!answer.ok || number !== asked) return;
    told.innerHTML = await answer.text(); // escaped by the server
    const used = new Set(told.querySelector("[data-used]")?.dataset.used.split(" ") ?? []);
    for (const chip of editor.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(used.has(chip.dataset.macro)));
  }
}
