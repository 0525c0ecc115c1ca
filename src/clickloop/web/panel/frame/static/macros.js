// The macro editor: clicking a chip inserts its macro at the cursor; the server renders a preview while the user types.
const PAUSE_MS = 180;

export function startMacroFields() {
  for (const editor of document.querySelectorAll("[data-macro-editor]")) start(editor);
}

function start(editor) {
  const field = editor.querySelector("textarea, input:not([type=hidden])");
  const preview = editor.querySelector("[data-preview]");
  let timer = 0;
  let latest = 0;
  editor.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (!chip) return;
    event.preventDefault();
    field.setRangeText(chip.dataset.macro, field.selectionStart, field.selectionEnd, "end");
    field.focus();
    refresh(0);
  });
  field.addEventListener("input", () => refresh(PAUSE_MS));
  field.form?.addEventListener("change", () => refresh(PAUSE_MS));

  function refresh(pause) {
    clearTimeout(timer);
    timer = setTimeout(load, pause);
  }

  async function load() {
    const number = ++latest;
    const body = new URLSearchParams(new FormData(field.form));
    body.set("field", field.name);
    let response;
    try {
      response = await fetch(editor.dataset.macroEditor, { method: "POST", body });
    } catch {
      return; // the server is unreachable: keep the last preview
    }
    if (!response.ok || number !== latest) return;
    preview.innerHTML = await response.text(); // escaped by the server
    const used = new Set(preview.querySelector("[data-used]")?.dataset.used.split(" ") ?? []);
    for (const chip of editor.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", String(used.has(chip.dataset.macro)));
  }
}
