// Fit displayed formulas to their column, and break long ones in the text. The page "Formulas on a small screen" says
// how and why.
(() => {
  const SMALLEST = 0.7; // of the natural size: below that, indices cannot be read
  const LONG = 240, LONGEST = 330; // px: wider formulas in the text may be broken after relations, after all operators
  const formulas = new Map(); // formula -> its natural font size in percent, as MathJax has set it
  const widths = new WeakMap(); // its column -> the width for which it was fitted

  function scroll(formula, needed) {
    if (needed) {
      formula.setAttribute("tabindex", "0");
      formula.setAttribute("role", "group");
      formula.setAttribute("aria-label", "Formula, wider than the page: scrolls sideways");
    } else {
      ["tabindex", "role", "aria-label"].forEach((name) => formula.removeAttribute(name));
    }
  }

  // All sizes are written, then all widths are read: the browser lays the page out once a turn, not once a formula.
  // The space beside a formula does not shrink with it, so that a second turn may be needed.
  function fit(some) {
    const shown = some.filter((formula) => formula.clientWidth > 0);
    const scales = new Map(shown.map((formula) => [formula, 1]));
    const write = (formula) => { formula.style.fontSize = `${scales.get(formula) * formulas.get(formula)}%`; };
    shown.forEach(write);
    let tooWide = shown;
    for (let turn = 0; turn < 3; turn++) {
      const ratios = new Map(tooWide.map((formula) => [formula, formula.clientWidth / formula.scrollWidth]));
      tooWide = tooWide.filter((formula) => ratios.get(formula) < 1 && scales.get(formula) > SMALLEST);
      tooWide.forEach((formula) => {
        const scale = 0.99 * ratios.get(formula) * scales.get(formula); // widths come rounded to pixels
        scales.set(formula, Math.max(SMALLEST, scale));
        write(formula);
      });
    }
    const wide = shown.map((formula) => formula.scrollWidth > formula.clientWidth);
    shown.forEach((formula, i) => scroll(formula, wide[i]));
  }

  // A shrunk formula changes the height of its column, so only a change of width counts.
  function refit(entries) {
    const changed = entries.filter(({ target, contentRect }) => widths.get(target) !== contentRect.width);
    changed.forEach(({ target, contentRect }) => widths.set(target, contentRect.width));
    fit(changed.flatMap(({ target }) => [...target.children].filter((child) => formulas.has(child))));
  }

  // MathJax sets off a relation, and what comes after it, by the space 4, and a binary operator by 3.
  function allowBreaks(formula, width) {
    formula.classList.add("breakable");
    (width > LONGEST ? [4, 3] : [4]).forEach((space) => {
      const operands = formula.querySelectorAll(`:scope > mjx-math > mjx-mo[space="${space}"] + [space="${space}"]`);
      operands.forEach((operand) => operand.before(document.createElement("wbr")));
    });
  }

  // A browser would begin a line with the comma after a formula.
  function keepWithPunctuation(formula) {
    const span = formula.parentElement, text = span.nextSibling;
    const marks = text && text.nodeType === Node.TEXT_NODE && text.data.match(/^[.,;:!?)\]]+/);
    if (!marks || !span.matches("span.math")) return;
    const together = document.createElement("span");
    together.style.whiteSpace = "nowrap";
    span.before(together);
    text.splitText(marks[0].length);
    together.append(span, text);
  }

  async function start() {
    await MathJax.startup.promise;
    const inText = [...document.querySelectorAll('mjx-container:not([display="true"])')];
    const sizes = inText.map((formula) => formula.offsetWidth);
    inText.forEach((formula, i) => { if (sizes[i] > LONG) allowBreaks(formula, sizes[i]); });
    inText.forEach(keepWithPunctuation);
    const columns = new ResizeObserver(refit);
    document.querySelectorAll('mjx-container[display="true"]').forEach((formula) => {
      formulas.set(formula, parseFloat(formula.style.fontSize) || 100);
      columns.observe(formula.parentElement);
    });
  }

  document.addEventListener("DOMContentLoaded", () => { if (window.MathJax && MathJax.startup) start(); });
})();
