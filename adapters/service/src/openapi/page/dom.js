// Elements. Text goes in as text alone: nothing that a server says becomes markup.

const SVG = 'http://www.w3.org/2000/svg';

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

// element('p', {class: 'note'}, 'text', other, ...); a function among the attributes is a listener.
export const element = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);
export const shape = (name, attributes = {}, ...children) => filled(document.createElementNS(SVG, name), attributes, children);
export const at = (id) => document.getElementById(id);

// An image file as a picture, with a link to keep it; `about` is what stands for it where it cannot be seen.
export function picture(file, name, about) {
  const url = URL.createObjectURL(file);
  return element('figure', {class: 'picture'}, element('img', {src: url, alt: about}),
                 element('figcaption', {class: 'note'}, `${bytes(file.size)} of ${file.type}. `, element('a', {href: url, download: name}, 'Keep it as a file')));
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export function bytes(n) {
  let unit = 0;
  for (; n >= 1024 && unit + 1 < units.length; ++unit) n /= 1024;
  return `${digits(n)} ${units[unit]}`;
}

// Three digits, as 0.12, 1.23, 12.3 and 1,234.
export function digits(x) {
  if (x === 0) return '0';
  const places = Math.abs(x) >= 100 ? 0 : Math.min(3, Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x)))));
  return x.toLocaleString('en', {maximumFractionDigits: places});
}

export function seconds(s) {
  if (s === null || s === undefined || !isFinite(s)) return '–';
  if (s < 1e-3) return `${digits(s * 1e6)} µs`;
  if (s < 1) return `${digits(s * 1e3)} ms`;
  if (s < 120) return `${digits(s)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${digits(s / 3600)} h`;
}
