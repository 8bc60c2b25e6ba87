// Slider, opacity, and the value under the cursor, for every viewer that is on the page now or later.
(() => {
  const arrays = new WeakMap();

  function values(view) {
    if (!arrays.has(view)) {
      const bytes = Uint8Array.from(atob(view.dataset.values), (c) => c.charCodeAt(0));
      arrays.set(view, new Float32Array(bytes.buffer));
    }
    return arrays.get(view);
  }

  function tell(view, event) {
    const tip = view.querySelector(".bn-tip"), box = view.querySelector(".bn-stage").getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width, y = (event.clientY - box.top) / box.height;
    if (x < 0 || x >= 1 || y < 0 || y >= 1) { tip.textContent = ""; return; }
    const width = Number(view.dataset.width), height = Number(view.dataset.height), channels = Number(view.dataset.channels);
    const place = channels * (Math.floor(y * height) * width + Math.floor(x * width));
    const found = Array.from(values(view).slice(place, place + channels));
    const names = JSON.parse(view.dataset.names);
    tip.textContent = names.length ? names[found[0]] ?? `class ${found[0]}`
      : found.map((v) => v.toFixed(2)).join(", ") + view.dataset.unit;
  }

  document.addEventListener("mousemove", (event) => {
    const view = event.target.closest?.(".bn-view");
    if (view) tell(view, event);
  });

  document.addEventListener("input", (event) => {
    const view = event.target.closest?.(".bn-view");
    if (!view) return;
    const map = view.querySelector(".bn-map"), share = event.target.value;
    if (event.target.classList.contains("bn-slide")) map.style.clipPath = `inset(0 0 0 ${share}%)`;
    if (event.target.classList.contains("bn-opacity")) map.style.opacity = share / 100;
  });
})();
