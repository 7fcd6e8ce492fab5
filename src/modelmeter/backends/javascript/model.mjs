/** Functions of sizes by name, made of programs: they check the sizes, fill in what follows, and round at the end. */

import { DERIVATIONS, DIMENSIONS, FOLDS, LAYER_SIZES, METRICS, RULES } from "./facts.mjs";
import {
  CostError, ceilDiv, checkAgreement, checkBits, checkRouting, checkSize, noMultiple, show, tooLarge, tooSmall,
} from "./runtime.mjs";

const ORDER = [...new Set([...Object.keys(DIMENSIONS), ...Object.keys(LAYER_SIZES)])];

/** A program: what it takes, by name and in order, and what it does. */
export function program(inputs, run) {
  return { inputs: inputs.split(" "), run };
}

const isWidth = (name) => name.endsWith("_bits");
const isSize = (name) => name !== "scale" && name !== "expert_routing";

/** A sum of names and integers, such as what a size follows from. */
const addUp = (terms, values) => terms.reduce((sum, term) => sum + (values[term] ?? term), 0n);
const write = (terms) => terms.join(" + ").replace("+ -", "- ");

/**
 * Return a function of sizes by name.
 *
 * `parts` are the programs whose outputs `finish` makes the result of; `like` are programs whose sizes it takes too.
 * What is among the `constants` is no argument. `derived` are the programs of sizes that are none either, but that
 * rules speak of; with `isChained`, sizes follow from each other as in a request. A layer has `defaults` of its own.
 */
export function define(name, specification) {
  const { parts, like = [], constants = {}, derived = {}, defaults = {}, minima = {}, finish } = specification;
  const { isChained, isLayer } = specification;
  const taken = [...parts, ...like, ...Object.values(derived)].flatMap(({ inputs }) => inputs);
  const known = new Set(taken.filter((size) => isSize(size) && !(size in constants)));
  const follows = ({ size, source }) => !isLayer && known.has(size) && (isChained || !source);
  const derivations = DERIVATIONS.filter(follows);
  const targets = new Map(derivations.filter(({ source }) => source).map(({ size, source }) => [source, size]));
  for (const source of targets.keys()) known.add(source);
  const sizes = ORDER.filter((size) => known.has(size));
  const open = new Set(derivations.map(({ size }) => size));
  const find = (size) => (isLayer && LAYER_SIZES[size]) || DIMENSIONS[size] || LAYER_SIZES[size];
  const least = (size) => minima[size] ?? find(size).minimum;
  const standard = (size) => defaults[size] ?? DIMENSIONS[size].default;
  const routes = taken.includes("expert_routing");
  const late = new Set([...open, ...Object.keys(derived)]);
  const named = new Set([...sizes, ...Object.keys(derived)]);
  const rules = RULES.filter(([a, , b]) => {
    const both = [a, b].filter((size) => typeof size === "string");
    return both.every((size) => named.has(size) || size in constants) && both.some((size) => named.has(size));
  });
  const isLate = ([a, , b]) => late.has(a) || late.has(b);
  const checkRule = ([a, relation, b], values) => {
    const [one, other] = [a, b].map((size) => (typeof size === "string" ? values[size] : size));
    if (relation === "at_most") {
      if (one > other) throw known.has(a) ? tooLarge(a, one, b, other) : tooSmall(b, other, a, one);
    } else if (relation === "zero_together") {
      if (!one !== !other) throw new CostError(`${a} and ${b} must be 0 together: ${show(one)} and ${show(other)}`);
    } else {
      const [factor, text] = relation === "divides" ? [1n, a] : [2n, `2 * ${a}`];
      if (other % (factor * one) !== 0n) throw noMultiple(b, other, text, factor * one);
    }
  };
  const evaluate = (given = {}) => {
    if (typeof given !== "object") throw new TypeError(`${name}() takes its sizes by name, in one object`);
    for (const size in given) {
      if (!known.has(size) && !(routes && size === "expert_routing")) {
        throw new TypeError(`${name}() got an unexpected keyword argument '${size}'`);
      }
    }
    const { expert_routing = "uniform" } = given;
    const values = { ...constants, expert_routing };
    for (const size of sizes) {
      const value = given[size];
      if (open.has(size) || (targets.has(size) && value == null)) values[size] = value;
      else if (isWidth(size)) values[size] = value === undefined ? standard(size) : value;
      else values[size] = checkSize(size, value === undefined ? standard(size) : value, least(size));
    }
    const widths = sizes.filter(isWidth);
    const [scale, ...scaled] = checkBits(widths.map((size) => [size, values[size], least(size)]));
    values.scale = scale;
    widths.forEach((size, place) => (values[size] = scaled[place]));
    if (routes) checkRouting(values.expert_routing);
    const run = ({ inputs, run }) => run(...inputs.map((size) => values[size]));
    for (const rule of rules) if (!isLate(rule)) checkRule(rule, values);
    for (const size in derived) [values[size]] = run(derived[size]);
    for (const { size, terms, source } of derivations) {
      if (values[size] == null) {
        if (source) values[source] ??= standard(source);
        values[size] = addUp(terms, values);
      } else {
        values[size] = checkSize(size, values[size], least(size));
        if (source && values[source] != null) checkAgreement(size, values[size], write(terms), addUp(terms, values));
      }
    }
    for (const rule of rules) if (isLate(rule)) checkRule(rule, values);
    return finish(parts.map(run));
  };
  return Object.defineProperty(evaluate, "name", { value: name });
}

/** A number that is rounded up: an integer is itself, a pair is divided. */
const round = (value) => (Array.isArray(value) ? ceilDiv(...value) : value);

const add = (one, other) => {
  if (!Array.isArray(one) && !Array.isArray(other)) return one + other;
  const [[a, b], [c, d]] = [one, other].map((value) => (Array.isArray(value) ? value : [value, 1n]));
  return [a * d + c * b, b * d];
};

const most = (one, other) => (round(other) > round(one) ? other : one);

const FOLD = {
  sum: (values) => values.reduce(add),
  largest: (values) => values.reduce(most),
};

const toCost = (values) =>
  Object.freeze(Object.fromEntries(METRICS.map((metric, place) => [metric, round(values[place])])));

/** The cost of one program. */
export const cost = ([values]) => toCost(values);

/** The one number of a program. */
export const number = ([[value]]) => round(value);

/** The largest of the one number of each program. */
export const largestOf = (parts) => round(FOLD.largest(parts.map(([value]) => value)));

/** The bytes that parts move with operators fused: what a program has after the metrics. */
export const traffic = (parts) => round(FOLD.sum(parts.map((values) => values[METRICS.length])));

/** The functions of a layer: of its cost, and of its fused_io_bytes. */
export function layer(name, evaluated, defaults) {
  const specification = { parts: [evaluated], isLayer: true, defaults };
  const functions = [
    define(name, { ...specification, finish: cost }),
    define(`${name}_fused_io_bytes`, { ...specification, finish: traffic }),
  ];
  functions[0].program = evaluated;
  return functions;
}

/** The functions of a layer that is the sum of stages and a rest; what cancels out are constants. */
export function wholeModel(name, parts, derived, constants) {
  const specification = { parts, derived, isLayer: true, constants };
  const addMetrics = (found) => toCost(METRICS.map((_, place) => FOLD.sum(found.map((values) => values[place]))));
  return [
    define(name, { ...specification, finish: addMetrics }),
    define(`${name}_fused_io_bytes`, { ...specification, finish: traffic }),
  ];
}

/** The cost of a request, of those of its stages. */
export const request = (parts) =>
  toCost(METRICS.map((metric, place) => FOLD[FOLDS[metric][0]](FOLDS[metric][1].map((stage) => parts[stage][place]))));

/** The costs of the stages, by name, and of the request, if there is one. */
export const stages = (names, hasRequest = true) => (parts) =>
  Object.freeze({
    ...Object.fromEntries(names.map((name, place) => [name, toCost(parts[place])])),
    ...(hasRequest && { request: request(parts) }),
  });

/** The functions of one metric each and of fused_io_bytes, of specifications by name. */
export function metricsOf(costs) {
  const found = {};
  for (const [name, specification] of Object.entries(costs)) {
    for (const metric of METRICS) {
      const finish = (parts) => specification.finish(parts)[metric];
      found[`${name}_${metric}`] = define(`${name}_${metric}`, { ...specification, finish });
    }
    const fused = `${name}_fused_io_bytes`;
    found[fused] = define(fused, { ...specification, finish: traffic });
  }
  return found;
}
