// The picture of rank r: the first r outer products, added up.
figures.draw.ranks = (figure, { left, right, weights, tails, says, x: xs, y: ys }) => {
  const { axis, place } = figures;
  const bytes = (text) => Int8Array.from(atob(text), (letter) => letter.charCodeAt(0));
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
};
