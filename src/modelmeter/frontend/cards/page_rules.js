// How models with a card see a page, for pages that compute in a browser: the float operations and the refusals of
// page_rules.py, which a test compares on many pages. `PAGE_FACTS` has the numbers of a rule; `refuse` throws, from a
// problem and its place, what was expected, found, and a remedy.
const PAGE_VIEWS = (refuse) => {
  const LARGEST_RATIO = 200;
  const MAX_PAGE_SIDE = 67108864;
  const { rule, sizes: names } = PAGE_FACTS;

  // As Python rounds: halves to the even side.
  const round = (value) => {
    const below = Math.floor(value);
    const rest = value - below;
    return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
  };

  const findCells = (width, height) => {
    const { factor } = rule;
    if (rule.enlarges && height < factor) [width, height] = [round((width * factor) / height), factor];
    if (rule.enlarges && width < factor) [width, height] = [factor, round((height * factor) / width)];
    if (Math.max(height, width) / Math.min(height, width) > LARGEST_RATIO) {
      refuse("the sides of the page differ too much", {
        place: `${width}x${height}`, expected: `sides of which one is at most ${LARGEST_RATIO} times the other`,
      });
    }
    const rows = round(height / factor);
    const columns = round(width / factor);
    const pixels = rows * factor * columns * factor;
    if (pixels > rule.max_pixels) {
      const shrink = Math.sqrt((height * width) / rule.max_pixels);
      return [height, width].map((side) => Math.max(1, Math.floor(side / shrink / factor)));
    }
    if (pixels < rule.min_pixels) {
      const grow = Math.sqrt(rule.min_pixels / (height * width));
      return [height, width].map((side) => Math.ceil((side * grow) / factor));
    }
    return [rows, columns];
  };

  const findTiles = (width, height) => {
    if (Math.max(width, height) <= rule.tile_side) return rule.has_rows ? [1, 1] : [0];
    const grids = [];
    for (let columns = 1; columns <= rule.max_tiles; columns++) {
      for (let rows = 1; columns * rows <= rule.max_tiles; rows++) {
        if (columns * rows >= rule.min_tiles) grids.push([columns, rows]);
      }
    }
    grids.sort(([a, b], [c, d]) => a * b - c * d);
    let nearest = Infinity;
    let found = [1, 1];
    for (const [columns, rows] of grids) {
      const distance = Math.abs(width / height - columns / rows);
      const isFilled = 2 * width * height > rule.tile_side * rule.tile_side * columns * rows;
      if (distance < nearest || (distance === nearest && isFilled)) [nearest, found] = [distance, [columns, rows]];
    }
    return rule.has_rows ? found : [found[0] * found[1]];
  };

  const findFrames = (width, height) => {
    const side = rule.tile_side;
    const longest = rule.longest_side;
    const even = (length) => Math.max(1, length + (length % 2));
    const fill = (length) => Math.ceil(length / side) * side;
    let ratio = width / height;
    if (width >= height) [width, height] = [longest, even(Math.trunc(longest / ratio))];
    else [width, height] = [even(Math.trunc(longest * ratio)), longest];
    ratio = width / height;
    if (width >= height) {
      width = fill(width);
      height = fill(Math.trunc(width / ratio));
    } else {
      height = fill(height);
      width = fill(Math.trunc(height * ratio));
    }
    const tiles = (width / side) * (height / side);
    return [tiles > 1 ? tiles + 1 : 1];
  };

  const divide = (length, parts) => Math.max(1, round(length / parts));

  const findResized = (width, height) => {
    const ratio = width / height;
    const resized = Math.trunc(rule.scale_resolution / Math.sqrt(ratio));
    return [divide(resized, rule.factor), divide(Math.trunc(resized * ratio), rule.factor)];
  };

  // Logarithms may end in another digit than those of Python. Where two grids are as near, they are the same numbers
  // in both, and else their distances differ by more, of pages with sides of at most 2^22 pixels.
  const findSlices = (width, height) => {
    const overview = findResized(width, height);
    const pixels = rule.scale_resolution * rule.scale_resolution;
    const most = Math.min(Math.ceil((width * height) / pixels), rule.max_slice_nums);
    if (most <= 1) return [...overview, 0, ...overview];
    let nearest = Infinity;
    let found = [1, 1];
    for (let count = Math.max(2, most - 1); count <= Math.min(most + 1, rule.max_slice_nums); count++) {
      for (let rows = 1; rows <= count; rows++) {
        if (count % rows > 0) continue;
        const distance = Math.abs(Math.log(width / height) - Math.log(count / rows / rows));
        if (distance < nearest || (distance === nearest && rows > found[0])) {
          [nearest, found] = [distance, [rows, count / rows]];
        }
      }
    }
    const [rows, columns] = found;
    return [...overview, rows * columns, ...findResized(divide(width, columns), divide(height, rows))];
  };

  const findSizes = "scale_resolution" in rule ? findSlices
    : "factor" in rule ? findCells
      : "longest_side" in rule ? findFrames
        : "tile_side" in rule ? findTiles
          : () => [1];

  const checkSide = (place, value) => {
    if (typeof value === "string" || value < 1n || value > MAX_PAGE_SIDE) {
      const expected = `an integer from 1 to ${MAX_PAGE_SIDE}`;
      refuse("a size is not a whole number in range", { place, expected, found: value });
    }
    return Number(value);
  };

  return {
    cut(pageWidth, pageHeight) {
      const found = findSizes(checkSide("page_width", pageWidth), checkSide("page_height", pageHeight));
      return Object.fromEntries(names.map((name, place) => [name, BigInt(found[place])]));
    },
    keepWhole() {
      const remedy = "give --page alone";
      return refuse("this model has no option for pages that are not cut", { place: "--no-crop", remedy });
    },
  };
};
