// Shows the response fields of this very page, as the server sends them.
"use strict";

(async () => {
  const table = document.querySelector("#fields tbody");
  if (!table) return;
  try {
    const response = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const rows = [["status", `${response.status} ${response.statusText}`], ...response.headers];
    table.replaceChildren(...rows.map(([name, value]) => {
      const row = document.createElement("tr");
      const left = document.createElement("td");
      const code = document.createElement("code");
      code.textContent = name;
      left.append(code);
      const right = document.createElement("td");
      right.textContent = value;
      row.append(left, right);
      return row;
    }));
  } catch (error) {
    table.textContent = `The server did not answer: ${error.message}`;
  }
})();
