// What happens when a reader moves a slider. book/_literate/interactive.py draws the figures and writes the data.
(() => {
  // As `Axis` there: from values to positions.
  function axis({ low, high, start, end, log }) {
    const f = log ? Math.log : (value) => value;
    return (value) => start + ((end - start) * (f(value) - f(low))) / (f(high) - f(low));
  }

  function place(element, attributes) {
    Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, value));
  }

  const bytes = (text) => Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  // The picture of rank r: the first r outer products, added up.
  function ranks(figure, { left, right, weights, tails, says, x: xs, y: ys }) {
    const [u, v, x, y] = [bytes(left), bytes(right), axis(xs), axis(ys)];
    const [height, width] = [u, v].map((vectors) => vectors.length / weights.length);
    const still = figure.querySelector("img");
    const canvas = document.createElement("canvas");
    place(canvas, { width, height, role: "img", "aria-label": still.alt });
    still.replaceWith(canvas);
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    image.data.fill(255); // opaque
    const [kept, dot] = [".kept", ".dot"].map((name) => figure.querySelector(name));

    return ({ rank }) => {
      const grey = new Float32Array(height * width);
      for (let k = 0; k < rank; k++) {
        for (let i = 0; i < height; i++) {
          const factor = weights[k] * u[k * height + i];
          for (let j = 0; j < width; j++) grey[i * width + j] += factor * v[k * width + j];
        }
      }
      grey.forEach((value, p) => image.data.fill(value, 4 * p, 4 * p + 3)); // red, green, blue
      context.putImageData(image, 0, 0);
      place(kept, { width: x(rank) - xs.start });
      place(dot, { cx: x(rank), cy: y(tails[rank - 1]) });
      return says[rank - 1];
    };
  }

  // The steps that so many products pay for, composed on the whole range.
  function schedules(figure, { degrees, x: xs, y: ys, argument: as, value: vs }) {
    const [x, y, argument, value] = [xs, ys, as, vs].map(axis);
    const points = Array.from({ length: 2000 }, (_, i) => as.low + (i / 1999) * (as.high - as.low));
    for (let i = 1; i < 500; i++) points.push(as.low * (as.high / as.low) ** (i / 500));
    points.sort((a, b) => a - b);
    const stairs = [...figure.querySelectorAll("[data-degree]")];
    const [dot, composed] = [".dot", ".composed"].map((name) => figure.querySelector(name));
    const bands = figure.querySelectorAll(".band");
    const apply = (z, c) => z * c.reduceRight((sum, coefficient) => sum * z * z + coefficient, 0);

    return ({ products, degree }) => {
      const { cost, steps, errors, says } = degrees[degree];
      const count = Math.floor(products / cost);
      const error = errors[count - 1];
      const heights = points.map((z) => value(steps.slice(0, count).reduce(apply, z)));
      place(composed, { d: `M${points.map((z, i) => [argument(z), heights[i]]).join(" ")}` });
      bands.forEach((band, i) => place(band, { d: `M${as.start},${value(i ? 1 + error : 1 - error)}H${as.end}` }));
      stairs.forEach((stair) => stair.classList.toggle("on", stair.dataset.degree === degree));
      place(dot, { cx: x(products), cy: y(Math.max(error, ys.low)) });
      return `${products} matrix products: ${says[count - 1]}`;
    };
  }

  // The weights at one temperature as bars, and at all temperatures as lines.
  function temperatures(figure, { weights, says, T, x: xs, y: ys }) {
    const [x, y] = [xs, ys].map(axis);
    const [bars, lines] = [".bar", ".weight"].map((name) => figure.querySelectorAll(name));
    const [now, slider] = [".now", "[type=range]"].map((name) => figure.querySelector(name));

    return ({ temperature, method }) => {
      const p = weights[method];
      bars.forEach((bar, i) => place(bar, { y: y(p[temperature][i]), height: ys.start - y(p[temperature][i]) }));
      lines.forEach((line, i) => place(line, { d: `M${T.map((t, j) => [x(t), y(p[j][i])]).join(" ")}` }));
      place(now, { d: `M${x(T[temperature])},${ys.start}V${ys.end}` });
      place(slider, { "aria-valuetext": T[temperature] });
      return says[method][temperature];
    };
  }

  function start(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const draw = { ranks, schedules, temperatures }[figure.dataset.figure](figure, data);
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
  }

  document.querySelectorAll("[data-figure]").forEach(start); // the script is deferred: the page is there
})();
