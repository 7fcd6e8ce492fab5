// What the site does beyond being read: search, the theme, copying. Everything else works without this file.
"use strict";
(() => {
  const root = document.body.dataset.root;
  const find = (selector) => document.querySelector(selector);

  // --- theme: as the system has it, unless the reader chose ---
  const button = find("#theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const read = () => { try { return localStorage.getItem("modelmeter-theme"); } catch { return null; } };
  const show = (theme) => {
    if (theme) document.documentElement.dataset.theme = theme;
    const isDark = (theme ?? (dark.matches ? "dark" : "light")) === "dark";
    button.textContent = isDark ? "Light" : "Dark";
    return isDark;
  };
  show(read());
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = button.textContent.toLowerCase();
    try { localStorage.setItem("modelmeter-theme", theme); } catch { /* a page from a disk may have no storage */ }
    show(theme);
  });

  // --- a letter of a formula leads to its definition, and says what it is ---
  document.documentElement.classList.add("script");
  const meanings = new Map(window.MODELMETER_INDEX.map(([name, path, words]) => [path, `${name}: ${words}`]));
  const letterOf = (event) => event.target.closest?.("math [data-href]");
  document.addEventListener("click", (event) => {
    const letter = letterOf(event);
    if (letter && !event.target.closest("a")) location.href = letter.dataset.href;
  });
  document.addEventListener("mouseover", (event) => {
    const letter = letterOf(event);
    const words = letter && meanings.get(letter.dataset.href.replace(/^(\.\.\/)+/, ""));
    if (words) letter.closest("math").parentElement.title = words;
  });

  // --- the contents take no first screen of a phone ---
  const menu = find(".menu");
  if (menu && matchMedia("(max-width: 56rem)").matches) menu.open = false;

  // --- search ---
  const input = find("#query");
  const hits = find("#hits");
  find(".search").hidden = false;
  const match = (query) => {
    const words = query.toLowerCase().split(/[\s/.]+/).filter(Boolean);
    if (!words.length) return [];
    return window.MODELMETER_INDEX
      .map((row) => [row, row[0].toLowerCase(), row.join(" ").toLowerCase()])
      .filter(([, , all]) => words.every((word) => all.includes(word)))
      .sort(([a, x], [b, y]) => words.filter((word) => y.split(" ").includes(word)).length
        - words.filter((word) => x.split(" ").includes(word)).length || a[0].length - b[0].length)
      .slice(0, 20)
      .map(([row]) => row);
  };
  input.addEventListener("input", () => {
    const found = match(input.value);
    hits.replaceChildren(...found.map(([title, path, words]) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      const small = document.createElement("small");
      link.href = root + path;
      link.textContent = title;
      small.textContent = words;
      link.append(small);
      item.append(link);
      return item;
    }));
    hits.hidden = !found.length;
  });
  const choose = (event, step) => {
    const links = [...hits.querySelectorAll("a")];
    const place = links.indexOf(document.activeElement) + step;
    (links[place] ?? input).focus();
    event.preventDefault();
  };
  find(".search").addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") choose(event, 1);
    else if (event.key === "ArrowUp") choose(event, -1);
    else if (event.key === "Escape") hits.hidden = true;
    else if (event.key === "Enter" && event.target === input) hits.querySelector("a")?.click();
  });
  document.addEventListener("click", (event) => { if (!event.target.closest(".search")) hits.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input, select, textarea")) { input.focus(); event.preventDefault(); }
  });

  // --- copying ---
  for (const copy of document.querySelectorAll(".copy")) {
    const copyButton = document.createElement("button");
    copyButton.type = "button";
    copyButton.textContent = "Copy";
    copyButton.addEventListener("click", async () => {
      await navigator.clipboard.writeText(copy.querySelector("pre").textContent);
      copyButton.textContent = "Copied";
      setTimeout(() => { copyButton.textContent = "Copy"; }, 1500);
    });
    copy.querySelector(".language").append(copyButton);
  }
})();
