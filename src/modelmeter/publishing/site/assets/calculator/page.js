// The page: what is typed in is evaluated at every change, and what is refused leaves no number behind.
const cells = [...document.querySelectorAll("button[data-cell]")];
const put = (selector, text) => { find(selector).textContent = text; };
let last = null;
let chosen = "";

const describe = (cell) => cell.replace(".", " · ");

/** The share of a stage in what adds up over stages. */
const showShare = (button, result) => {
  const [stage, what] = button.dataset.cell.split(".");
  const folds = FACTS.FOLDS[what];
  const adds = what === TIME || what === "fused_io_bytes" || (folds?.[0] === "sum");
  const total = adds && stage !== REQUEST ? read(result, `${REQUEST}.${what}`) : 0n;
  const share = total ? Number((read(result, button.dataset.cell) * 10000n) / total) / 100 : null;
  const counts = share !== null && !(folds && !folds[1].includes(DATA.stages.indexOf(stage)));
  button.parentElement.style.setProperty("--share", counts ? `${share}%` : "0%");
  button.nextElementSibling.textContent = counts ? `${share.toFixed(1)}\u202f%` : "";
};

const showNumbers = (result) => {
  for (const button of cells) {
    const value = read(result, button.dataset.cell);
    button.textContent = button.dataset.cell.endsWith(`.${TIME}`) ? toMilliseconds(value) : group(value);
    button.dataset.value = value;
    showShare(button, result);
  }
  for (const [stage, { times, binds }] of entries(result.bounds)) {
    times.forEach((time, place) => put(`[data-time="${stage}.${place}"]`, toMilliseconds(time)));
    put(`[data-binds="${stage}"]`, binds);
  }
};

const showSummary = (result) => {
  const { following, card, needed, bounds, costs } = result;
  const whole = costs[REQUEST];
  const most = TOGETHER.reduce((one, other) => (whole[other] > whole[one] ? other : one));
  const batch = findLargestBatch(result.sizes, card.usable);
  const fits = needed <= card.usable ? "It fits" : "It does not fit";
  put("#tokens", entries(following).map(([name, value]) => `${name} ${group(value)}`).join(", "));
  const { time, binds } = bounds[REQUEST];
  put("#least", `${shorten(time, TIME)} at least on ${card.name}; most of it ${binds}.`);
  put("#fits", `${fits}: ${round(needed, "B")} of ${round(card.usable, "B")}; most of it ${most}.`);
  const largest = batch === null ? "" : `${DATA.batch} ${group(batch)}`;
  put("#batch", largest && `With all else as it is, ${largest} is the largest that fits.`);
};

const showDetail = (result) => {
  const what = chosen.split(".")[1];
  const value = read(result, chosen);
  const template = find(`template[data-cell="${chosen}"]`) ?? find(`template[data-cell="${what}"]`);
  const movers = findMovers(chosen, result);
  const unit = what === TIME ? "ms" : unitOf(what) === "B" ? "bytes" : "FLOPs";
  put("#detail-name", describe(chosen));
  put("#detail-value", `${what === TIME ? toMilliseconds(value) : group(value)} ${unit} (${shorten(value, what)})`);
  find("#detail-formula").replaceChildren(template ? template.content.cloneNode(true) : "");
  put("#detail-movers", movers.join(", ") || "none of the fields");
  for (const each of listFields()) each.closest(".field")?.classList.toggle("moves", movers.includes(each.name));
  for (const button of cells) {
    const isChosen = button.dataset.cell === chosen;
    button.setAttribute("aria-pressed", String(isChosen));
    button.tabIndex = isChosen ? 0 : -1;
  }
};

const showChart = (result) => {
  const name = typed("over");
  const what = chosen.split(".")[1];
  const svg = find("#chart");
  try {
    const [from, to] = readRange(result, name);
    const { points, refused, reason } = sweep(result, chosen, name, from, to);
    if (!points.length) throw new RangeError(reason);
    // A fraction of a bit is between two points.
    const isNumber = typeof result.sizes[name] !== "object";
    draw(svg, points, what, name, isNumber ? [findSize(result, name), read(result, chosen)].map(Number) : null);
    svg.removeAttribute("hidden");
    const left = refused ? ` ${refused} of ${refused + points.length} values are refused: ${reason}.` : "";
    const range = `${describe(chosen)} over ${name}, from ${group(from)} to ${group(to)}, all else as it is.`;
    put("#chart-title", `${range} Each point is exact; the dot is the number above.${left}`);
    const head = `${name},${chosen}${what === TIME ? "_microseconds" : ""}`;
    put("#points", `${[head, ...points.map((point) => point.join(","))].join("\n")}\n`);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    svg.setAttribute("hidden", "");
    svg.replaceChildren();
    put("#points", "");
    put("#chart-title", error.message);
  }
};

/** The address of the page as it is; a browser ignores those that change it too often. */
const writeAddress = () => `${location.href.split("#")[0]}#${writeState()}`;
let waiting = 0;
const keepAddress = () => {
  const before = location.href;
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    // Someone may have followed a link to another state meanwhile.
    if (location.href === before) history.replaceState(null, "", writeAddress());
  }, 100);
};

const COPIES = { link: writeAddress, csv: writeCsv, latex: writeLatex, python: writePython };

const show = () => {
  const [refusal, results] = [find("#refusal"), find("#results")];
  try {
    followPage();
    followCard();
    last = compute(readSizes(), readCard(), typed("traffic"));
    showNumbers(last);
    showSummary(last);
    showDetail(last);
    showChart(last);
    for (const [name, write] of entries(COPIES)) put(`#copy-${name}`, write(last));
    refusal.hidden = true;
    results.hidden = false;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    last = null;
    refusal.textContent = error.message;
    refusal.hidden = false;
    results.hidden = true;
    // No number of other sizes stays.
    for (const button of cells) {
      button.textContent = "";
      delete button.dataset.value;
    }
    for (const each of results.querySelectorAll(".live")) each.replaceChildren();
  }
  keepAddress();
};

const choose = (cell) => {
  chosen = cells.some((button) => button.dataset.cell === cell) ? cell : STANDARD.cell;
  field("cell").value = chosen;
};

const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Move through the numbers with arrows; they are one stop of the tabulator. */
const move = (event) => {
  const rows = [...document.querySelectorAll("#costs tr")].map((row) => [...row.querySelectorAll("button")]);
  const places = rows.filter((row) => row.length);
  const row = places.findIndex((each) => each.includes(event.target));
  const [down, right] = STEPS[event.key] ?? [];
  if (row < 0 || down === undefined) return;
  event.preventDefault();
  const place = places[row].length - places[row].indexOf(event.target);
  // A row with one number has that of the request, its last column.
  const next = places[row + down] ?? [];
  (next.at(-(place - right || 1)) ?? (down ? next.at(-1) : undefined))?.focus();
};

/** What else changes with what someone changed. */
const settle = ({ target: { name } }) => {
  if (name === "mode" && findMode()?.isCut && !PAGE_FIELDS.some((side) => typed(side))) {
    for (const tile of DATA.views.tiles) field(tile).value = DATA.arguments[tile];
  }
  const mode = field("mode");
  if (mode && [...DATA.views.sizes, ...DATA.views.tiles].includes(name)) mode.value = "";
  if (CARD_FIELDS.includes(name)) field("card").value = "";
  if (name === "over") for (const end of ["from", "to"]) field(end).value = "";
};

for (const each of listFields()) STANDARD[each.name] = each.value;
form.addEventListener("submit", (event) => event.preventDefault());
// Fields of the chart are in the form, but not inside it.
document.addEventListener("input", (event) => {
  if (event.target.form !== form) return;
  settle(event);
  show();
});
const pick = ({ target: { dataset: { cell } } }) => {
  if (!cell || !last || cell === chosen) return;
  choose(cell);
  show();
};
find("#costs").addEventListener("click", pick);
find("#costs").addEventListener("focusin", pick);
find("#costs").addEventListener("keydown", move);
const restore = () => {
  readState(location.hash.slice(1));
  choose(typed("cell"));
  show();
};
addEventListener("hashchange", restore);
restore();
