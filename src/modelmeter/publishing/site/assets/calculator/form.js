// What is typed in, read as the command line reads it: the same numbers and the same refusals.
const { facts: FACTS, model: MODEL, programs: PROGRAMS, runtime: RUNTIME } = M;
const { entries, fromEntries } = Object;
const find = (selector) => document.querySelector(selector);
const DATA = JSON.parse(find("#data").textContent);
const REQUEST = DATA.request;
const form = find("#calculator");
const field = (name) => form.elements.namedItem(name);
const typed = (name) => field(name)?.value.trim() ?? "";
const CARD_FIELDS = [
  "tensor_flops_per_second", "vector_flops_per_second", "memory_bytes_per_second", "memory_bytes", "reserve_gib",
];
const PAGE_FIELDS = ["page_width", "page_height"];
const LONGEST = 100;

/** Throw an error of one line, as the errors of the Python library are. */
const refuse = (problem, { place, expected, found, remedy }) => {
  const clip = (value) => (String(value).length > 200 ? `${String(value).slice(0, 200)}...` : value);
  const parts = [
    place ? `${place}: ${problem}` : problem,
    expected === undefined ? "" : `expected ${expected}`,
    found === undefined ? "" : `found ${found === "" ? "nothing" : clip(found)}`,
    remedy ?? "",
  ];
  throw new RangeError(parts.filter(Boolean).join("; ").split(/\s+/).filter(Boolean).join(" "));
};

/** A decimal or a ratio as a fraction, exactly. */
const toFraction = (text) => {
  const parts = /^(\d+)(?:\.(\d+))?(?:e\+?(\d+))?(?:\/(\d+))?$/i.exec(text);
  const [, whole, decimals = "", exponent = "0", denominator = "1"] = parts;
  const places = 10n ** BigInt(decimals.length);
  return new RUNTIME.Fraction(BigInt(whole + decimals) * 10n ** BigInt(exponent), places * BigInt(denominator));
};

const parseSize = (name, text) => {
  const place = name;
  if (text.length > LONGEST) {
    refuse("the number is too long", { place, expected: `at most ${LONGEST} digits`, found: text });
  }
  if (/^-?\d+(_\d+)*$/.test(text)) return BigInt(text.replaceAll("_", ""));
  const mayBeFraction = FACTS.DIMENSIONS[name]?.may_be_fraction;
  if (mayBeFraction && /^\d+(\.\d+|\/\d+)$/.test(text) && !text.endsWith("/0")) {
    const fraction = toFraction(text);
    return fraction.denominator === 1n ? fraction.numerator : fraction;
  }
  if (mayBeFraction) refuse("the value is not a number", { place, expected: "digits: 16, 5.5 or 11/2", found: text });
  refuse("the value is not an integer", { place, expected: "digits: 1913 or 1_913", found: text });
};

const NAMES = Object.keys(DATA.arguments);

/** The sizes by name, as evaluators take them. */
const readSizes = () => {
  const sizes = {};
  for (const name of NAMES) {
    if (typed(name) !== "" || !DATA.optional.includes(name)) sizes[name] = parseSize(name, typed(name));
  }
  if (field("expert_routing")) sizes.expert_routing = typed("expert_routing");
  return sizes;
};

const VIEWS = typeof PAGE_VIEWS === "function" ? PAGE_VIEWS(refuse) : null;
const findMode = () => DATA.views?.modes[typed("mode")];

/** Put in what follows from the mode and from the pixels of a page, or nothing where they are refused. */
const followPage = () => {
  if (!DATA.views) return;
  const mode = findMode();
  for (const [name, value] of entries(mode?.sizes ?? {})) field(name).value = value;
  const isWhole = mode && !mode.isCut;
  const isTyped = VIEWS && PAGE_FIELDS.some((name) => typed(name));
  for (const name of DATA.views.tiles) field(name).readOnly = Boolean(isTyped || (isWhole && VIEWS));
  if (!VIEWS || !(isTyped || isWhole)) return;
  const sizes = fromEntries(DATA.views.sizes.map((name) => [name, parseSize(name, typed(name))]));
  const sides = PAGE_FIELDS.map((name) => (/^-?\d+$/.test(typed(name)) ? BigInt(typed(name)) : typed(name)));
  let found = {};
  try {
    const program = typed("preprocessing");
    found = isWhole ? VIEWS.keepWhole(sizes, program) : VIEWS.cut(...sides, sizes, program);
  } finally {
    for (const name of DATA.views.tiles) field(name).value = found[name] ?? "";
  }
  for (const [name, value] of entries(found)) field(name).value = value;
};

/** The cards by the names of their fields; rates by the types that a card states. */
const CARDS = DATA.cards.map((row) => {
  const card = fromEntries(DATA.card.map((name, place) => [name, row[place]]));
  const rates = DATA.types.map((type, place) => [type, card.rates[place]]);
  return { ...card, rates: fromEntries(rates.filter(([, rate]) => rate)) };
});
const findCard = () => CARDS.find(({ id }) => id === typed("card"));

/** Put in the rates of the card that is chosen. */
const followCard = () => {
  const card = findCard();
  if (!card) return;
  for (const name of CARD_FIELDS.slice(1)) field(name).value = card[name];
  const dtype = typed("dtype");
  const rate = card.rates[dtype] ?? (dtype === "float32" ? card.vector_flops_per_second : "");
  field(CARD_FIELDS[0]).value = rate;
  if (!rate) {
    refuse("the card states no rate of its tensor cores for this type", {
      place: `${card.id}: ${CARD_FIELDS[0]}`, expected: Object.keys(card.rates).join(", "), found: dtype,
      remedy: "take one of these types, or add the rate to a card file of your own",
    });
  }
};

/** The rates and the memory of the card as fractions; what is there for a model is a whole number of bytes. */
const readCard = () => {
  const card = {};
  for (const name of CARD_FIELDS) {
    const text = typed(name);
    const isWhole = name === "memory_bytes";
    const isNumber = (isWhole ? /^\d{1,19}$/ : /^\d+(\.\d+)?(e\+?\d{1,2})?$/i).test(text);
    const value = isNumber ? toFraction(text) : null;
    const least = name === "reserve_gib" ? 0n : 1n;
    if (value === null || (value.numerator < least)) {
      const expected = isWhole ? "a whole number of at least 1, below 2^63"
        : name === "reserve_gib" ? "a finite number of at least 0" : "a finite number above 0";
      refuse("wrong value", {
        place: name === CARD_FIELDS[0] ? `${name}.${typed("dtype")}` : name, expected,
        found: value === null ? `str '${text}'` : `${isWhole ? "int 0" : "float 0.0"}`,
      });
    }
    card[name] = value;
  }
  const { numerator, denominator } = card.reserve_gib;
  const reserve = RUNTIME.ceilDiv(numerator * 2n ** 30n, denominator);
  const left = card.memory_bytes.numerator - reserve;
  return { ...card, usable: left > 0n ? left : 0n, name: findCard()?.name ?? "this card" };
};

// --- the state of the page, which its address has ---
const STANDARD = {};
const listFields = () => [...form.elements].filter(({ name }) => name);

const writeState = () => {
  const isChosen = Boolean(findCard());
  const kept = listFields().filter(({ name, value }) => value.trim() !== STANDARD[name]
    && !(isChosen && CARD_FIELDS.includes(name)));
  return new URLSearchParams(kept.map(({ name, value }) => [name, value.trim()])).toString();
};

const readState = (text) => {
  const state = new URLSearchParams(text);
  for (const each of listFields()) {
    const value = state.get(each.name) ?? STANDARD[each.name];
    each.value = value;
    // A choice that there is not.
    if (each.value !== value) each.value = STANDARD[each.name];
  }
};
