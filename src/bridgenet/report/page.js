// Headings become buttons that sort the rows of the runs; published rows stay where they are, at the end.
document.querySelectorAll("table.sortable thead th").forEach(function (head, column) {
  var table = head.closest("table"), place = Array.prototype.indexOf.call(head.parentNode.children, head);
  var button = document.createElement("button");
  button.type = "button"; button.title = "sort";
  while (head.firstChild) button.appendChild(head.firstChild);
  head.appendChild(button);
  button.addEventListener("click", function () {
    var up = head.getAttribute("aria-sort") !== "ascending", body = table.tBodies[0];
    table.querySelectorAll("thead th").forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    var key = function (row) {
      var cell = row.children[place], value = cell.getAttribute("data-value");
      return value === null ? cell.textContent : parseFloat(value);
    };
    Array.prototype.slice.call(body.rows).sort(function (a, b) {
      if (a.className !== b.className) return a.className === "muted" ? 1 : -1;
      var x = key(a), y = key(b);
      if (typeof x !== typeof y) return typeof x === "number" ? -1 : 1;
      var order = typeof x === "number" ? x - y : x.localeCompare(y);
      return up ? order : -order;
    }).forEach(function (row) { body.appendChild(row); });
  });
});
