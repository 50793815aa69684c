// The arrow keys move from cell to cell: one stop for Tab instead of thousands.
const map = document.querySelector("[data-map]");

if (map) {
    const rows = [...map.rows].map((row) => [...row.cells].filter((cell) => cell.matches(".cell")).map((cell) => cell.querySelector("a")));
    const lines = rows.filter((row) => row.length);
    const links = lines.flat().filter(Boolean);
    for (const link of links) link.tabIndex = -1;
    if (links.length) links.at(-1).tabIndex = 0;
    // The latest weeks stand at the right.
    map.parentElement.scrollLeft = map.scrollWidth;

    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

    map.addEventListener("keydown", (event) => {
        const step = steps[event.key];
        const line = lines.findIndex((row) => row.includes(event.target));
        if (!step || line < 0) return;
        event.preventDefault();
        let [y, x] = [line + step[0], lines[line].indexOf(event.target) + step[1]];
        while (lines[y] && x >= 0 && x < lines[y].length && !lines[y][x]) [y, x] = [y + step[0], x + step[1]];
        const next = lines[y]?.[x];
        if (!next) return;
        event.target.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
    });
}
