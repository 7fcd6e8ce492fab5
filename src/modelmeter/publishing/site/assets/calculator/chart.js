// How a number grows with any one size: exact at each point, drawn as SVG.
const POINTS = 64n;
const SVG = find("#chart").namespaceURI;

const group = (value) => value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** Microseconds as milliseconds. */
const toMilliseconds = (time) => `${group(time / 1000n)}.${String(time % 1000n).padStart(3, "0")}`;

/** A number rounded to three digits, with the letter of its size. */
const round = (value, unit) => {
  const steps = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
  let [number, place] = [Number(value), 0];
  while (number >= 999.5 && place < steps.length - 1) [number, place] = [number / 1000, place + 1];
  return `${Number(number.toPrecision(3))}\u00a0${steps[place]}${unit}`;
};

const unitOf = (what) => (what.endsWith("flops") ? "FLOP" : "B");
const shorten = (value, what) => {
  if (what !== TIME) return round(value, unitOf(what));
  const number = Number(value) / 1e6;
  return number >= 1 ? `${Number(number.toPrecision(3))}\u00a0s` : `${Number((number * 1e3).toPrecision(3))}\u00a0ms`;
};

/** The sizes with one of them changed; what it follows from, and what follows from it, is left to the rules. */
const change = (sizes, name, value) => {
  const changed = { ...sizes, [name]: value };
  for (const { size, source } of FACTS.DERIVATIONS) {
    if (size === name && source) delete changed[source];
    if (source === name) delete changed[size];
  }
  return changed;
};

/** The value of a size: typed, or what follows. */
const findSize = (result, name) => {
  const value = result.sizes[name] ?? result.following[name] ?? FACTS.DIMENSIONS[name].default;
  return typeof value === "bigint" ? value : RUNTIME.ceilDiv(value.numerator, value.denominator);
};

/** The numbers of a cell over values of a size; those that are refused are left out, with the last reason. */
const sweep = (result, cell, name, from, to) => {
  const points = [];
  const step = to - from < POINTS ? 1n : 0n;
  const count = step ? to - from : POINTS;
  let [refused, reason] = [0, ""];
  for (let place = 0n; place <= count; place++) {
    const value = step ? from + place : from + ((to - from) * place) / count;
    try {
      const found = compute(change(result.sizes, name, value), result.card, result.traffic);
      points.push([value, read(found, cell)]);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      [refused, reason] = [refused + 1, error.message];
    }
  }
  return { points, refused, reason };
};

const drawElement = (tag, attributes, text) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

/** Round numbers below `most`, a handful of them. */
const listTicks = (least, most) => {
  const span = most - least || 1;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = Math.max(1, power * [1, 2, 5, 10].find((each) => each * power * 5 >= span));
  const ticks = [];
  for (let tick = Math.ceil(least / step) * step; tick <= most; tick += step) ticks.push(tick);
  return ticks;
};

const draw = (svg, points, what, name, now) => {
  const [left, right, top, bottom] = [84, 704, 14, 262];
  const [xs, ys] = [0, 1].map((place) => points.map((point) => Number(point[place])));
  const [least, most, highest] = [Math.min(...xs), Math.max(...xs), Math.max(...ys) || 1];
  if (![most, highest].every(Number.isFinite)) throw new RangeError("the numbers are too large to be drawn");
  const x = (value) => left + ((right - left) * (value - least)) / (most - least || 1);
  const y = (value) => bottom - ((bottom - top) * value) / highest;
  const lines = listTicks(0, highest).flatMap((tick) => [
    drawElement("line", { x1: left, x2: right, y1: y(tick), y2: y(tick) }),
    drawElement("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, shorten(BigInt(Math.round(tick)), what)),
  ]);
  const marks = listTicks(least, most).map((tick) =>
    drawElement("text", { x: x(tick), y: bottom + 20, "text-anchor": "middle" }, group(BigInt(Math.round(tick)))));
  const places = points.map(([a, b]) => `${x(Number(a)).toFixed(1)},${y(Number(b)).toFixed(1)}`);
  const here = now && now[0] >= least && now[0] <= most && now[1] <= highest
    ? [drawElement("circle", { cx: x(now[0]), cy: y(now[1]), r: 5 })] : [];
  marks.push(drawElement("text", { x: right, y: bottom + 38, "text-anchor": "end" }, name));
  svg.replaceChildren(...lines, ...marks, drawElement("path", { d: `M${places.join("L")}` }), ...here);
};

/** Read the range of the chart; what is not typed follows from the size as it is. */
const readRange = (result, name) => {
  const now = findSize(result, name);
  const least = FACTS.DIMENSIONS[name].minimum;
  const [from, to] = ["from", "to"].map((end) => (typed(end) === "" ? null : parseSize(end, typed(end))));
  const first = from ?? least;
  const last = to ?? (now * 2n < first + 16n ? first + 16n : now * 2n);
  return first <= last ? [first, last] : [last, first];
};
