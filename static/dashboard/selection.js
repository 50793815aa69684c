"use strict";

// Ticks of a list: all of a page at once, and how many there are. Lists are replaced while one
// looks at them, so the document listens.
document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-selection]");
    if (!form) {
        return;
    }
    const boxes = [...form.querySelectorAll("input[name=chosen]")];
    if (event.target.matches("[data-select-all]")) {
        for (const box of boxes) {
            box.checked = event.target.checked;
        }
    }
    const ticked = boxes.filter((box) => box.checked).length;
    const all = form.querySelector("[data-select-all]");
    all.checked = ticked === boxes.length;
    all.indeterminate = ticked > 0 && ticked < boxes.length;
    form.querySelector("[data-selected-count]").textContent = String(ticked);
});
