"use strict";
// A click on anything marks all that comes from the same line of a formula, in every panel.
const byLocation = new Map();
for (const element of document.querySelectorAll("[data-l]")) {
  for (const number of element.dataset.l.split(" ")) {
    if (!byLocation.has(number)) byLocation.set(number, []);
    byLocation.get(number).push(element);
  }
}
function mark(numbers) {
  for (const element of document.querySelectorAll(".on")) element.classList.remove("on");
  for (const number of numbers) for (const element of byLocation.get(number) || []) element.classList.add("on");
  document.getElementById("marked").textContent = numbers
    .map((number) => document.querySelector(`#formulas [data-l="${number}"]`)?.title || "")
    .slice(0, 3)
    .join(", ");
}
function show(target) {
  for (const pane of document.querySelectorAll(`[data-pane="${target.dataset.pane}"]`)) pane.hidden = pane !== target;
  for (const link of document.querySelectorAll("nav.tabs a"))
    link.classList.toggle("chosen", document.querySelector(link.getAttribute("href"))?.hidden === false);
}
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[href^='#']");
  const target = link && document.querySelector(link.getAttribute("href"));
  if (target?.dataset.pane) {
    event.preventDefault();
    show(target);
  } else if (target) {
    event.preventDefault();
    const pane = target.closest("[data-pane]");
    if (pane) show(pane);
    target.scrollIntoView({ block: "center" });
  }
  const located = event.target.closest("[data-l]");
  if (!located) return;
  mark(located.dataset.l.split(" "));
  for (const panel of document.querySelectorAll(".panel")) {
    const first = panel.contains(located) ? null : [...panel.querySelectorAll(".on")].find((e) => e.offsetParent);
    first?.scrollIntoView({ block: "nearest" });
  }
});
document.getElementById("unchanged").addEventListener("change", (event) => {
  document.body.classList.toggle("all", event.target.checked);
});
