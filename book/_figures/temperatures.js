// The weights at one temperature as bars, and at all temperatures as lines.
figures.draw.temperatures = (figure, { weights, says, T, x: xs, y: ys }) => {
  const { axis, place } = figures;
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
};
