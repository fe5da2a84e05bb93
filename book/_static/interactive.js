// What happens when a reader moves a slider. A figure is a pair of files in book/_figures: one draws it and writes the
// data, the other registers here what moves it: figures.draw.name = (figure, data) => (chosen) => words.
const figures = {
  draw: {},

  // As `Axis` in book/_literate/pages/drawing.py: from values to positions.
  axis({ low, high, start, end, log }) {
    const f = log ? Math.log : (value) => value;
    return (value) => start + ((end - start) * (f(value) - f(low))) / (f(high) - f(low));
  },

  place(element, attributes) {
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  },

  start(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const draw = figures.draw[figure.dataset.figure](figure, data);
    const inputs = [...figure.querySelectorAll("input")];
    const name = (input) => input.name.split("-").pop();
    const output = figure.querySelector("output");
    function update() {
      const chosen = inputs.filter((input) => input.type === "range" || input.checked);
      output.textContent = draw(Object.fromEntries(chosen.map((input) => [name(input), input.value])));
    }
    inputs.forEach((input) => input.addEventListener("input", update));
    figure.querySelector(".controls").hidden = false;
    update();
  },
};

// The scripts of the figures are deferred as this one is: they have all run by then.
document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-figure]").forEach(figures.start));
