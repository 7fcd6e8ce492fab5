// What the sizes cost: exact integers of the generated programs, what follows from them, and what a card makes of them.
const METRICS = [...FACTS.METRICS, "fused_io_bytes", "peak_activation_bytes"];
const FOLLOWING = [...new Set([...DATA.derived, ...FACTS.DERIVATIONS.map(({ size }) => size)])];
const LIMITS = ["matrix products", "other arithmetic", "memory traffic"];
const TOGETHER = ["weight_bytes", "kv_cache_bytes", "peak_activation_bytes"];
const TIME = "time";
const MEMORY = "memory";
const ROUTING = "expert_routing";
const MICRO = 1000000n;

/** From sizes to the costs of all stages and of the request, and the sizes that follow. */
const evaluate = (() => {
  const stages = DATA.stages.map((name) => PROGRAMS[name]);
  const peaks = DATA.stages.map((name) => PROGRAMS[`peak_${name}`]);
  const following = MODEL.program(FOLLOWING.join(" "), (...values) => values);
  return MODEL.define("stages", {
    parts: [following, ...stages, ...peaks], isChained: true, constants: FACTS.ARCHITECTURE,
    derived: fromEntries(DATA.derived.map((name) => [name, PROGRAMS[name]])),
    finish: ([values, ...parts]) => {
      const [works, tops] = [parts.slice(0, stages.length), parts.slice(stages.length)];
      const add = (cost, work, top) => ({
        ...cost, fused_io_bytes: MODEL.traffic(work), peak_activation_bytes: MODEL.largestOf(top),
      });
      const costs = DATA.stages.map((name, place) => {
        const [work, top] = [[works[place]], [tops[place]]];
        return [name, add(MODEL.cost(work), work, top)];
      });
      return {
        following: fromEntries(FOLLOWING.map((name, place) => [name, values[place]])),
        costs: { ...fromEntries(costs), [REQUEST]: add(MODEL.request(works), works, tops) },
      };
    },
  });
})();

/** The least microseconds of the work of each stage and what binds it, and of all stages after each other. */
const bound = (costs, card, traffic) => {
  const rates = CARD_FIELDS.slice(0, 3).map((name) => card[name]);
  const found = {};
  for (const stage of DATA.stages) {
    const cost = costs[stage];
    const work = [cost.tensor_core_flops, cost.cuda_core_flops, cost[traffic]];
    const times = work.map((each, place) => (each * MICRO * rates[place].denominator) / rates[place].numerator);
    const time = RUNTIME.largest(...times);
    found[stage] = { times, time, binds: LIMITS[times.indexOf(time)] };
  }
  const all = Object.values(found);
  const add = (values) => values.reduce((sum, value) => sum + value, 0n);
  const times = LIMITS.map((_, place) => add(all.map((each) => each.times[place])));
  found[REQUEST] = { times, time: add(all.map(({ time }) => time)) };
  const most = DATA.stages.reduce((one, other) => (found[other].time > found[one].time ? other : one));
  found[REQUEST].binds = `${most}: ${found[most].binds}`;
  return found;
};

const addUp = (cost) => TOGETHER.reduce((sum, metric) => sum + cost[metric], 0n);

/** The most items side by side that fit with all else as it is; null where the sizes do not say. */
const findLargestBatch = (sizes, usable) => {
  const { batch } = DATA;
  if (!batch) return null;
  const divisors = FACTS.RULES.filter(([, relation, size]) => relation === "divides" && size === batch);
  const step = divisors.reduce((product, [size]) => product * sizes[size], 1n);
  const fits = (count) => addUp(evaluate({ ...sizes, [batch]: count * step }).costs[REQUEST]) <= usable;
  if (!fits(1n)) return 0n;
  let [least, most] = [1n, 2n];
  while (fits(most)) {
    [least, most] = [most, 2n * most];
    if (most > 2n ** 40n) return null;
  }
  while (most - least > 1n) {
    const middle = (least + most) / 2n;
    if (fits(middle)) least = middle;
    else most = middle;
  }
  return least * step;
};

/** All that the page shows of some sizes; it throws what evaluators refuse. */
const compute = (sizes, card, traffic) => {
  const found = evaluate(sizes);
  const needed = addUp(found.costs[REQUEST]);
  return { ...found, sizes, card, traffic, needed, bounds: bound(found.costs, card, traffic) };
};

/** A number by its cell, as prefill.io_bytes, request.time or request.memory. */
const read = (result, cell) => {
  const [stage, what] = cell.split(".");
  if (what === TIME) return result.bounds[stage].time;
  return what === MEMORY ? result.needed : result.costs[stage][what];
};

/** The metrics that a number is made of. */
const findParts = (cell, traffic) => {
  const [stage, what] = cell.split(".");
  const stages = stage === REQUEST && [TIME, MEMORY, "peak_activation_bytes"].includes(what) ? DATA.stages : [stage];
  const metrics = { [TIME]: ["tensor_core_flops", "cuda_core_flops", traffic], [MEMORY]: TOGETHER }[what] ?? [what];
  return stages.flatMap((name) => metrics.map((metric) => `${name}.${metric}`));
};

/** The fields that a number depends on: the symbols of its formulas, and what these follow from. */
const findMovers = (cell, result) => {
  const movers = new Set();
  const add = (name) => {
    const rule = FACTS.DERIVATIONS.find(({ size }) => size === name);
    if (name in FACTS.ARCHITECTURE) return;
    if (rule && result.sizes[name] === undefined) rule.terms.filter((term) => typeof term === "string").forEach(add);
    else if (DATA.derived.includes(name)) PROGRAMS[name].inputs.forEach(add);
    else if (DATA.views?.tiles.includes(name) && typed(PAGE_FIELDS[0])) {
      PAGE_FIELDS.forEach((side) => movers.add(side));
      DATA.views.sizes.forEach((size) => movers.add(size));
    } else movers.add(name);
  };
  for (const part of findParts(cell, result.traffic)) {
    const formula = find(`template[data-cell="${part}"]`);
    (formula?.dataset.symbols ?? "").split(" ").filter(Boolean).forEach(add);
  }
  const what = cell.split(".")[1];
  if (what === TIME) ["card", "dtype", "traffic", ...CARD_FIELDS.slice(0, 3)].forEach((name) => movers.add(name));
  const isRouted = findParts(cell, result.traffic).some((part) => {
    const [name, metric] = part.split(".");
    const stages = name === REQUEST ? DATA.stages : [name];
    return metric.endsWith("io_bytes") && stages.some((stage) => PROGRAMS[stage].inputs.includes(ROUTING));
  });
  if (isRouted) movers.add(ROUTING);
  return listFields().map(({ name }) => name).filter((name) => movers.has(name));
};
