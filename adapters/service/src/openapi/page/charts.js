// Lines over time and bars, as SVG.
import {shape} from './dom.js';

const left = 50, right = 6, top = 8, bottom = 18;

// A round number not below x: 1, 2 or 5 times a power of ten.
function rounded(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return [1, 2, 5, 10].map((n) => n * power).find((n) => n >= x * 0.9999);
}

function path(points) {
  let open = false, d = '';
  for (const [x, y] of points) {
    if (y === null) {
      open = false;
      continue;
    }
    d += `${open ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    open = true;
  }
  return d;
}

function area(points, floor) {
  const there = points.filter(([, y]) => y !== null);
  if (there.length < 2) return '';
  return `${path(there)}L${there.at(-1)[0].toFixed(1)} ${floor}L${there[0][0].toFixed(1)} ${floor}Z`;
}

// Draws `history`, [{time, NAME: number or null, ...}], into the svg. lines: [{name, mark}] with mark 'one' or 'two'. `label`
// makes a number readable; `span` is how many seconds are shown; `hover(entry)` is told what the pointer is at, or null.
export function lines(svg, {history, lines, label, span, hover, says}) {
  const width = svg.clientWidth, height = svg.clientHeight;
  if (width === 0) return;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('aria-label', says);
  const highest = Math.max(0, ...history.flatMap((h) => lines.map((l) => h[l.name] ?? 0)));
  const ceiling = highest > 0 ? rounded(highest) : 1;
  const now = history.length > 0 ? history.at(-1).time : 0;
  const x = (time) => width - right - (now - time) / span * (width - left - right);
  const y = (value) => height - bottom - value / ceiling * (height - top - bottom);
  const parts = [];
  for (const share of [0, 0.5, 1]) {
    const at = Math.round(y(share * ceiling)) + 0.5;
    parts.push(shape('line', {class: 'grid', x1: left, x2: width - right, y1: at, y2: at}));
    parts.push(shape('text', {x: left - 6, y: at + 4, 'text-anchor': 'end'}, label(share * ceiling)));
  }
  parts.push(shape('text', {x: left, y: height - 4}, span < 90 ? `${Math.round(span)} s ago` : `${Math.round(span / 60)} min ago`));
  parts.push(shape('text', {x: width - right, y: height - 4, 'text-anchor': 'end'}, 'now'));
  const shown = history.filter((h) => now - h.time <= span);
  for (const [i, line] of lines.entries()) {
    const points = shown.map((h) => [x(h.time), h[line.name] === null ? null : y(h[line.name])]);
    if (i === 0) parts.push(shape('path', {class: 'area', d: area(points, height - bottom)}));
    parts.push(shape('path', {class: line.mark, d: path(points)}));
  }
  svg.replaceChildren(...parts);
  follow(svg, shown, x, lines, y, hover);
}

function follow(svg, shown, x, lines, y, hover) {
  let marks = [];
  const leave = () => {
    for (const mark of marks) mark.remove();
    marks = [];
    hover(null);
  };
  svg.onpointerleave = leave;
  svg.onpointermove = (event) => {
    leave();
    const pointer = event.clientX - svg.getBoundingClientRect().left;
    const nearest = shown.reduce((best, h) => best && Math.abs(x(best.time) - pointer) <= Math.abs(x(h.time) - pointer) ? best : h, null);
    if (!nearest) return;
    const at = x(nearest.time);
    marks.push(shape('line', {class: 'cursor', x1: at, x2: at, y1: top, y2: svg.clientHeight - bottom}));
    for (const line of lines)
      if (nearest[line.name] !== null) marks.push(shape('circle', {class: `dot ${line.mark}`, cx: at, cy: y(nearest[line.name]), r: 3.5}));
    svg.append(...marks);
    hover(nearest);
  };
}

// A bar of `share`, and over it of `part`, both from 0 to 1.
export function bar(share, {part = 0, mark = '', says}) {
  const rect = (kind, width) => shape('rect', {class: kind, width: `${100 * Math.min(1, Math.max(0, width))}%`, height: '100%'});
  return shape('svg', {class: `bar ${mark}`, role: 'img', 'aria-label': says}, rect('track', 1), rect('fill', share), rect('part', part));
}

// Curves over two logarithmic axes. series: [{mark, points: [[x, y], ...]}]; `cross` is an x to mark.
export function curves(svg, {series, labelX, labelY, cross, says}) {
  const width = svg.clientWidth, height = svg.clientHeight;
  if (width === 0) return;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('aria-label', says);
  const all = series.flatMap((s) => s.points);
  const range = (i) => [Math.min(...all.map((p) => p[i])), Math.max(...all.map((p) => p[i]))].map(Math.log10);
  const [x0, x1] = range(0), [low, high] = range(1), y0 = Math.floor(low), y1 = Math.ceil(high);
  const x = (value) => left + (Math.log10(value) - x0) / (x1 - x0 || 1) * (width - left - right);
  const y = (value) => height - bottom - (Math.log10(value) - y0) / (y1 - y0 || 1) * (height - top - bottom);
  const parts = [];
  for (const exponent of [y0, Math.round((y0 + y1) / 2), y1]) {
    const at = Math.round(y(10 ** exponent)) + 0.5;
    parts.push(shape('line', {class: 'grid', x1: left, x2: width - right, y1: at, y2: at}));
    parts.push(shape('text', {x: left - 6, y: at + 4, 'text-anchor': 'end'}, labelY(10 ** exponent)));
  }
  parts.push(shape('text', {x: left, y: height - 4}, labelX(10 ** x0)));
  parts.push(shape('text', {x: width - right, y: height - 4, 'text-anchor': 'end'}, labelX(10 ** x1)));
  for (const s of series) parts.push(shape('path', {class: s.mark, d: path(s.points.map(([a, b]) => [x(a), y(b)]))}));
  if (cross) {
    parts.push(shape('line', {class: 'cursor', x1: x(cross), x2: x(cross), y1: top, y2: height - bottom}));
    parts.push(shape('text', {x: x(cross), y: height - 4, 'text-anchor': 'middle'}, labelX(cross)));
  }
  svg.replaceChildren(...parts);
}
