// The calculator: what is typed in goes to the exact evaluators, and what they return or refuse is shown.
"use strict";
(() => {
  const form = document.querySelector("#sizes");
  const refusal = document.querySelector("#refusal");
  const results = document.querySelector("#results");
  const card = document.querySelector("#card");
  const preset = document.querySelector("#preset");
  const names = Object.keys(DATA.arguments);
  const field = (name) => form.elements.namedItem(name);
  const group = (value) => value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  const cell = (tag, text, isNumber) => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (isNumber) element.className = "n";
    if (tag === "th") element.scope = "row";
    return element;
  };
  const fill = (body, rows) => {
    document.querySelector(body).replaceChildren(...rows.map(([head, ...values]) => {
      const row = document.createElement("tr");
      row.append(cell("th", head), ...values.map((value) => cell("td", value, true)));
      return row;
    }));
  };

  const read = () => {
    const sizes = {};
    for (const name of names) {
      const text = field(name).value.trim();
      if (text === "") {
        if (DATA.arguments[name] !== null) throw new RangeError(`${name}: expected an integer; found nothing`);
        continue;
      }
      if (!/^-?\d+$/.test(text)) throw new RangeError(`${name}: expected an integer; found ${text}`);
      sizes[name] = BigInt(text);
    }
    return sizes;
  };

  const largest = (values) => values.reduce((a, b) => (b > a ? b : a));
  const MICRO = 1000000n;

  const show = () => {
    let found, peak, derived;
    try {
      const sizes = read();
      const known = (names) => Object.fromEntries(Object.entries(sizes).filter(([name]) => names.includes(name)));
      found = COSTS.stages(sizes);
      peak = COSTS.request_peak_activation_bytes(sizes);
      derived = Object.entries(DATA.derived).map(([name, taken]) => `${name} = ${group(COSTS[name](known(taken)))}`);
    } catch (error) {
      refusal.textContent = error.message;
      refusal.hidden = false;
      results.hidden = true; // no number of other sizes stays
      return;
    }
    refusal.hidden = true;
    results.hidden = false;
    const stages = Object.entries(found);
    const metrics = Object.keys(stages[0][1]);
    fill("#costs", stages.map(([name, cost]) => [name, ...metrics.map((metric) => group(cost[metric]))]));
    const chosen = DATA.cards[card.selectedIndex];
    const [tensor, vector, traffic, memory] = ["tensor", "vector", "traffic", "memory"].map((key) => BigInt(chosen[key]));
    const parts = stages.filter(([name]) => name !== "request").map(([name, cost]) => {
      const times = [
        ["matrix products", (cost.tensor_core_flops * MICRO) / tensor],
        ["other arithmetic", (cost.cuda_core_flops * MICRO) / vector],
        ["memory traffic", (cost.io_bytes * MICRO) / traffic],
      ];
      const bound = largest(times.map(([, time]) => time));
      return [name, bound, times.find(([, time]) => time === bound)[0]];
    });
    const all = parts.reduce((sum, [, time]) => sum + time, 0n);
    fill("#times", [
      ...parts.map(([name, time, what]) => [name, group(time), what]),
      ["request", group(all), "the sum"],
    ]);
    const { request } = found;
    const needed = request.weight_bytes + request.kv_cache_bytes + peak;
    fill("#memory", [
      ["weights", group(request.weight_bytes)], ["cache at the end", group(request.kv_cache_bytes)],
      ["activations at their peak", group(peak)], ["together", group(needed)],
      [`usable on ${chosen.name}`, group(memory)],
    ]);
    document.querySelector("#fits").textContent = needed <= memory ? "It fits by memory." : "It does not fit.";
    document.querySelector("#derived").textContent = derived.join(", ");
    document.querySelector("#python").textContent = `import ${DATA.package} as costs\n\nprint(costs.stages(${
      Object.entries(read()).map(([name, value]) => `${name}=${value}`).join(", ")}))`;
    const state = new URLSearchParams({ ...Object.fromEntries(names.map((name) => [name, field(name).value.trim()])), card: chosen.id });
    history.replaceState(null, "", `#${state}`);
  };

  const restore = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const name of names) field(name).value = state.get(name) ?? DATA.arguments[name] ?? "";
    const place = DATA.cards.findIndex(({ id }) => id === state.get("card"));
    if (place >= 0) card.selectedIndex = place;
    show();
  };
  for (const { name } of DATA.cards) card.add(new Option(name));
  preset.add(new Option("as typed", ""));
  for (const name of Object.keys(DATA.presets)) preset.add(new Option(name, name));
  preset.addEventListener("change", () => {
    for (const [name, value] of Object.entries(DATA.presets[preset.value] ?? {})) if (field(name)) field(name).value = value;
    show();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => { if (event.target !== preset) { if (event.target !== card) preset.value = ""; show(); } });
  addEventListener("hashchange", restore);
  restore();
})();
