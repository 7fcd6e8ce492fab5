/** What the evaluators share: checks of arguments, roundings, the routing of experts. */

/** A size is out of range, or sizes contradict each other. */
export class CostError extends RangeError {
  get name() {
    return "CostError";
  }
}

/** A ratio of two integers: storage widths may be one, as 5.5 bits of weights that are quantised in groups. */
export class Fraction {
  constructor(numerator, denominator = 1n) {
    const [top, bottom] = [toInteger("numerator", numerator), toInteger("denominator", denominator)];
    if (bottom === 0n) throw new RangeError("denominator must not be 0");
    const common = bottom < 0n ? -greatestDivisor(top, bottom) : greatestDivisor(top, bottom);
    this.numerator = top / common;
    this.denominator = bottom / common;
    Object.freeze(this);
  }

  toString() {
    return this.denominator === 1n ? `${this.numerator}` : `${this.numerator}/${this.denominator}`;
  }
}

function greatestDivisor(a, b) {
  while (b !== 0n) [a, b] = [b, a % b];
  return a < 0n ? -a : a;
}

/** Reads that were computed before: batches and prompts come again and again. */
const KNOWN_READS = new Map();
const MOST_KNOWN_READS = 4096;

function bitLength(value) {
  return value === 0n ? 0n : BigInt((value < 0n ? -value : value).toString(2).length);
}

function quote(text) {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const named = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\", [mark]: `\\${mark}` };
  return `${mark}${[...text].map((character) => named[character] ?? character).join("")}${mark}`;
}

/** A value for a message, shortened. */
export function show(value) {
  if (typeof value === "bigint" && bitLength(value) > 1024n) return `an integer of ${bitLength(value)} bits`;
  const text = typeof value === "string" ? quote(value) : String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

function nameType(value) {
  if (value === null || value === undefined) return "";
  return `${typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value} `;
}

/** An integer as a BigInt: a BigInt, or a number that is exact. */
function toInteger(name, value, kind = "an integer") {
  if (typeof value === "bigint") return value;
  if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
  if (typeof value === "number" && Number.isInteger(value)) {
    throw new TypeError(`${name} must be a BigInt beyond 2**53, where numbers are not exact, not number ${value}`);
  }
  throw new TypeError(`${name} must be ${kind}, not ${nameType(value)}${show(value)}`);
}

/** A size as a BigInt, or the error that says what is wrong with it. */
export function checkSize(name, value, minimum) {
  const size = toInteger(name, value);
  if (size < minimum) {
    const reason = minimum > 1n ? ": with less, the code of the model does something else" : "";
    throw new CostError(`${name} must be at least ${minimum}, not ${show(size)}${reason}`);
  }
  return size;
}

/** A common denominator of storage widths, and the widths multiplied by it; each is a name, a value and a minimum. */
export function checkBits(widths) {
  const isFraction = (value) => value instanceof Fraction && value.denominator !== 1n;
  for (const [name, value, minimum] of widths) {
    if (isFraction(value) && value.numerator < minimum * value.denominator) {
      throw new CostError(`${name} must be at least ${minimum}, not ${value}`);
    }
  }
  const checked = widths.map(([name, value, minimum]) => {
    if (isFraction(value)) return value;
    const whole = value instanceof Fraction ? value.numerator : value;
    return { numerator: checkSize(name, toInteger(name, whole, "an integer or a Fraction"), minimum), denominator: 1n };
  });
  let scale = 1n;
  for (const { denominator } of checked) scale *= denominator / greatestDivisor(scale, denominator);
  return [scale, ...checked.map(({ numerator, denominator }) => numerator * (scale / denominator))];
}

/** Refuse what names no routing of experts. */
export function checkRouting(value) {
  if (value !== "uniform" && value !== "even") {
    throw new CostError(`expert_routing must be "uniform" or "even", not ${show(value)}`);
  }
}

/** Refuse a size that is given beside what it follows from, and is not that. */
export function checkAgreement(name, value, otherName, other) {
  if (value !== other) {
    throw new CostError(`${name} must be ${otherName} where both are given: ${show(value)} is not ${show(other)}`);
  }
}

/** The error of a size that exceeds another. */
export function tooLarge(name, value, limitName, limit) {
  return new CostError(`${name} must be at most ${limitName}: ${show(value)} > ${show(limit)}`);
}

/** The error of a size that falls short of another. */
export function tooSmall(name, value, limitName, limit) {
  return new CostError(`${name} must be at least ${limitName}: ${show(value)} < ${show(limit)}`);
}

/** The error of a size that another does not divide. */
export function noMultiple(name, value, divisorName, divisor) {
  return new CostError(`${name} must be a multiple of ${divisorName}: ${show(value)} and ${show(divisor)}`);
}

/** The quotient of integers, rounded down; b is positive. */
export function floorDiv(a, b) {
  return a >= 0n ? a / b : -((b - 1n - a) / b);
}

/** The quotient of integers, rounded up; b is positive. */
export function ceilDiv(a, b) {
  return a > 0n ? (a + b - 1n) / b : a / b;
}

/** 1 + 2 + ... + n. */
export function triangular(n) {
  return floorDiv(n * (n + 1n), 2n);
}

/** The largest of some integers. */
export function largest(first, ...others) {
  let found = first;
  for (const value of others) if (value > found) found = value;
  return found;
}

/**
 * The weights that some tokens read of some experts with so many parameters each, where a token chooses perToken.
 *
 * With "uniform" routing the expected number of distinct experts is E (1 - (1 - k/E)^N), and its product with the
 * weights is rounded to a whole number; "even" is the bound min(E, k N).
 */
export function routedReads(experts, perToken, tokens, weights, routing) {
  const chosen = perToken * tokens;
  if (routing === "even") return (chosen < experts ? chosen : experts) * weights;
  const everything = experts * weights;
  // (1 - k/E)^N is at most exp(-k N / E): below 1 / (2 E W), what is missed rounds to nothing.
  if (chosen > experts * bitLength(2n * everything)) return everything;
  const key = `${experts} ${perToken} ${tokens} ${weights}`;
  let reads = KNOWN_READS.get(key);
  if (reads === undefined) {
    if (tokens * bitLength(experts) > 100_000_000n) {
      throw new CostError(`too many experts to route ${show(tokens)} tokens exactly: ${show(experts)}`);
    }
    const whole = experts ** tokens;
    const missed = (experts - perToken) ** tokens;
    reads = floorDiv(2n * everything * (whole - missed) + whole, 2n * whole);
    if (KNOWN_READS.size < MOST_KNOWN_READS) KNOWN_READS.set(key, reads);
  }
  return reads;
}
