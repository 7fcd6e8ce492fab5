// The numbers of the page for others to use: as a link, CSV, LaTeX, and Python that computes them again.
const writeFraction = (value) => {
  if (typeof value === "bigint") return String(value);
  const { numerator, denominator } = value;
  return denominator === 1n ? String(numerator) : `Fraction(${numerator}, ${denominator})`;
};
const writeCell = (value) => {
  const isPlain = !['"', ",", "\n"].some((mark) => value.includes(mark));
  return isPlain ? value : `"${value.replaceAll('"', '""')}"`;
};
const escapeLatex = (text) => text.replaceAll("_", "\\_");

const list = (result) => entries(result.costs).map(([stage, cost]) => [stage, cost, result.bounds[stage]]);

const writeCsv = (result) => {
  const sizes = entries({ ...result.sizes, ...result.following });
  const head = ["stage", ...METRICS, "least_microseconds", "binds", "card", ...sizes.map(([name]) => name)];
  const rows = list(result).map(([stage, cost, { time, binds }]) => [
    stage, ...METRICS.map((metric) => cost[metric]), time, binds, result.card.name, ...sizes.map(([, value]) => value),
  ]);
  return `${[head, ...rows].map((row) => row.map((value) => writeCell(String(value))).join(",")).join("\n")}\n`;
};

const writeLatex = (result) => {
  const stages = list(result);
  const row = (head, values) => `${[head, ...values].join(" & ")} \\\\`;
  const set = (text) => text.replaceAll("\u202f", "\\,");
  const sizes = entries(result.sizes).map(([name, value]) => `${name}=${value}`).join(", ");
  return [
    `% ${DATA.package}: ${sizes}`,
    `\\begin{tabular}{l${"r".repeat(stages.length)}}`, "\\hline",
    row("", stages.map(([stage]) => escapeLatex(stage))), "\\hline",
    ...METRICS.map((metric) => row(escapeLatex(metric), stages.map(([, cost]) => set(group(cost[metric]))))), "\\hline",
    row(`ms at least, ${escapeLatex(result.card.name)}`, stages.map(([, , { time }]) => set(toMilliseconds(time)))),
    "\\hline", "\\end{tabular}", "",
  ].join("\n");
};

/** A program that calls the package with the sizes of the page, and holds its numbers against those of the page. */
const writePython = (result) => {
  const { sizes, following, card, costs, bounds, traffic } = result;
  const write = (value) => (typeof value === "string" ? JSON.stringify(value) : writeFraction(value));
  const assign = (values) => entries(values).map(([name, value]) => `${name}=${write(value)}`).join(", ");
  const all = { ...following, ...sizes };
  const takes = (stage) => PROGRAMS[stage].inputs.filter((name) => name in all && !DATA.derived.includes(name));
  const pick = (stage) => assign(fromEntries(takes(stage).map((name) => [name, all[name]])));
  const isFused = traffic === "fused_io_bytes";
  const move = (stage) => (isFused ? `costs.${stage}_fused_io_bytes(${pick(stage)})` : `found.${stage}.${traffic}`);
  const rates = CARD_FIELDS.slice(0, 3).map((name) => writeFraction(card[name]));
  const lines = [
    `import ${DATA.package} as costs`, "",
    `sizes = dict(${assign(sizes)})`,
    "found = costs.stages(**sizes)  # exact: tensor_core_flops, cuda_core_flops, io_bytes, and so on",
    `peak = costs.${REQUEST}_peak_activation_bytes(**sizes)`,
    ...entries(costs).map(([stage, cost]) =>
      `assert found.${stage} == (${FACTS.METRICS.map((metric) => cost[metric]).join(", ")})`),
    `assert peak == ${costs[REQUEST].peak_activation_bytes}`, "",
    "# An assumption: weights, cache and activations at their peak are there at once.",
    `needed = found.${REQUEST}.weight_bytes + found.${REQUEST}.kv_cache_bytes + peak`,
    `assert needed == ${result.needed}`,
    `print(f"{needed:,} of {${card.usable}:,} bytes of ${card.name}")`, "",
    "# A bound from below, in microseconds: no stage is faster than its arithmetic or its traffic at the peak rates.",
    `matrix, other, memory = ${rates.join(", ")}`,
    "traffic = {",
    ...DATA.stages.map((stage) => `    "${stage}": ${move(stage)},`),
    "}",
    "least = {",
    "    stage: max(",
    "        cost.tensor_core_flops * 10**6 // matrix, cost.cuda_core_flops * 10**6 // other,",
    "        traffic[stage] * 10**6 // memory,",
    "    )",
    `    for stage, cost in found._asdict().items() if stage != "${REQUEST}"`,
    "}",
    `assert sum(least.values()) == ${bounds[REQUEST].time}`,
    'print(f"at least {sum(least.values()):,} microseconds", least)', "",
  ];
  const hasFractions = lines.some((line) => line.includes("Fraction("));
  return `${hasFractions ? "from fractions import Fraction\n\n" : ""}${lines.join("\n")}`;
};
