// Tables marked data-sortable get a button in each heading. Without scripts they stay as they are: by difference.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const headings = [...table.tHead.rows[0].cells];
  const sortBy = (column, button) => {
    const heading = headings[column];
    const upwards = heading.getAttribute("aria-sort") === "descending" ||
      (!heading.hasAttribute("aria-sort") && heading.dataset.first === "up");
    headings.forEach((one) => one.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", upwards ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
    };
    const compare = (one, other) => {
      const [first, second] = [key(one), key(other)];
      return typeof first === "number" ? first - second : first.localeCompare(second);
    };
    const body = table.tBodies[0];
    const rows = [...body.rows].sort((one, other) => (upwards ? 1 : -1) * compare(one, other));
    body.append(...rows);
    button.focus();
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    button.addEventListener("click", () => sortBy(column, button));
    heading.append(button);
  });
}
