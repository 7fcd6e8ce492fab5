// How DeepSeek-OCR cuts a page, for pages that compute in a browser: the grids and the refusals of page_views.py, which
// a test compares on many pages. `refuse` throws, from a problem and its place, what was expected, found, and a remedy.
const PAGE_VIEWS = (refuse) => {
  const PROGRAMS = {
    transformers: { maxTiles: 9, untiledView: "image_size" },
    serving: { maxTiles: 6, untiledView: "base_size" },
  };
  const MIN_TILES = 2;
  const UNTILED_PAGE_SIDE = 640;
  const MAX_PAGE_SIDE = 67108864;

  const checkSide = (place, value) => {
    if (typeof value === "string" || value < 1n || value > MAX_PAGE_SIDE) {
      const expected = `an integer from 1 to ${MAX_PAGE_SIDE}`;
      refuse("a size is not a whole number in range", { place, expected, found: value });
    }
  };

  const chooseGrid = (pageWidth, pageHeight, imageSize, maxTiles) => {
    checkSide("image_size", imageSize);
    checkSide("page_width", pageWidth);
    checkSide("page_height", pageHeight);
    if (pageWidth <= UNTILED_PAGE_SIDE && pageHeight <= UNTILED_PAGE_SIDE) return [1, 1];
    const grids = [];
    for (let width = 1; width <= maxTiles; width++) {
      for (let height = 1; width * height <= maxTiles; height++) {
        if (width * height >= MIN_TILES) grids.push([width, height]);
      }
    }
    grids.sort(([a, b], [c, d]) => a * b - c * d);
    // The vendor compares ratios in double precision; sides below 2^53 are exact in it.
    const aspect = Number(pageWidth) / Number(pageHeight);
    const distance = ([width, height]) => Math.abs(aspect - width / height);
    const least = Math.min(...grids.map(distance));
    const [first, ...others] = grids.filter((grid) => distance(grid) === least);
    const fills = ([width, height]) => 2n * pageWidth * pageHeight > imageSize ** 2n * BigInt(width * height);
    return others.filter(fills).at(-1) ?? first;
  };

  const agree = (what, ask, write, preprocessing) => {
    if (preprocessing) return ask(PROGRAMS[preprocessing]);
    const answers = Object.entries(PROGRAMS).map(([name, program]) => [name, ask(program)]);
    if (new Set(answers.map(([, answer]) => write(answer))).size > 1) {
      refuse(`the vendor's programs differ in ${what}`, {
        place: "preprocessing", expected: Object.keys(PROGRAMS).join(" or "),
        found: answers.map(([name, answer]) => `${name}: ${write(answer)}`).join(", "),
        remedy: "say which one is meant, with --preprocessing or in Python with preprocessing=",
      });
    }
    return answers[0][1];
  };

  return {
    cut(pageWidth, pageHeight, sizes, preprocessing) {
      const ask = ({ maxTiles }) => chooseGrid(pageWidth, pageHeight, sizes.image_size, maxTiles);
      const [width, height] = agree("the tile grid", ask, ([a, b]) => `(${a}, ${b})`, preprocessing);
      return { num_width_tiles: BigInt(width), num_height_tiles: BigInt(height) };
    },
    keepWhole(sizes, preprocessing) {
      const ask = ({ untiledView }) => sizes[untiledView];
      const side = agree("the side of the only view", ask, String, preprocessing);
      return { base_size: side, num_width_tiles: 1n, num_height_tiles: 1n };
    },
  };
};
