// The steps that so many products pay for, composed on the whole range.
figures.draw.schedules = (figure, { degrees, x: xs, y: ys, argument: as, value: vs }) => {
  const { axis, place } = figures;
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
};
