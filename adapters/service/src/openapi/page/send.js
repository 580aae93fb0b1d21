// A request that somebody has filled in, and its answer.
import {bytes, digits, element, picture, seconds} from './dom.js';

const longest = 100_000;  // characters of an answer that are shown

// JSON as people write it: a list of numbers on one line.
export function compact(value, indent = '') {
  if (Array.isArray(value)) {
    if (value.every((v) => typeof v !== 'object' || v === null)) return `[${value.map((v) => JSON.stringify(v)).join(', ')}]`;
    return `[\n${value.map((v) => `${indent}  ${compact(v, `${indent}  `)}`).join(',\n')}\n${indent}]`;
  }
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const keys = Object.keys(value);
  if (keys.length === 0) return '{}';
  return `{\n${keys.map((k) => `${indent}  ${JSON.stringify(k)}: ${compact(value[k], `${indent}  `)}`).join(',\n')}\n${indent}}`;
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function curl(api, {method, path, headers, body}) {
  const parts = ['curl', ...(method === 'GET' ? [] : ['-X', method]), quoted(api.url(path))];
  if (api.token) parts.push('-H', '"Authorization: Bearer $TOKEN"');
  for (const [name, value] of Object.entries(headers)) parts.push('-H', quoted(`${name}: ${value}`));
  if (typeof body === 'string' && body !== '') parts.push('-d', quoted(body));
  else if (body instanceof File) parts.push('--data-binary', quoted(`@${body.name}`));
  else if (body instanceof FormData) for (const [name, value] of body) parts.push('-F', quoted(`${name}=${value instanceof File ? `@${value.name}` : value}`));
  return parts.join(' ');
}

const answered = (file) => picture(file, `answer.${file.type.split('/')[1]}`, 'The picture that was answered');

// The image file that JSON holds as base64.
const fileIn = (answer) => new Blob([Uint8Array.from(atob(Object.values(answer)[0]), (c) => c.charCodeAt(0))], {type: answer.media_type});

// A list of records, or a list of such, as a table each.
function recordTables(listed) {
  const isRecord = (v) => typeof v === 'object' && v !== null && !Array.isArray(v);
  const isList = (v) => Array.isArray(v) && v.length > 0 && v.every(isRecord);
  const lists = isList(listed) ? [listed] : listed.filter(isList);
  const cell = (v) => element('td', {class: typeof v === 'number' && 'number'}, typeof v === 'number' && !Number.isInteger(v) ? digits(v) : String(v));
  return lists.slice(0, 8).map((records) => element('table', {class: 'records'},
    element('thead', {}, element('tr', {}, Object.keys(records[0]).map((key) => element('th', {scope: 'col'}, key)))),
    element('tbody', {}, records.slice(0, 20).map((record) => element('tr', {}, Object.values(record).map(cell))))));
}

function bodyNode(type, buffer, records) {
  if (buffer.byteLength === 0) return element('p', {class: 'note'}, 'No body.');
  if (/^image\/(png|jpeg)/.test(type)) return answered(new Blob([buffer], {type}));
  if (!/json|text|javascript|svg/.test(type)) {
    const link = element('a', {href: URL.createObjectURL(new Blob([buffer], {type})), download: type.includes('npy') ? 'answer.npy' : 'answer.bin'}, 'Keep it as a file');
    return element('p', {class: 'note'}, `${bytes(buffer.byteLength)} of ${type}. `, link);
  }
  let text = new TextDecoder().decode(buffer), shown = [];
  if (type.includes('json')) try {
    const value = JSON.parse(text);
    text = compact(value);
    if (/^image\//.test(value.media_type)) shown = [answered(fileIn(value))];
    else if (value[records]) shown = recordTables(value[records]);
  } catch {  // shown as it came
  }
  const cut = text.length > longest ? `${text.slice(0, longest)}\n… ${text.length - longest} more characters` : text;
  return element('div', {}, shown, element('pre', {tabindex: '0', 'aria-label': 'The answer\'s body'}, cut));
}

async function read(response, show) {
  const parts = [], reader = response.body?.getReader();
  for (let size = 0; reader;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    size += value.length;
    if (/event-stream/.test(response.headers.get('Content-Type') ?? '') && size < longest) show(await new Blob(parts).arrayBuffer());
  }
  return new Blob(parts).arrayBuffer();
}

// Sends `asked`, {method, path, headers, body}, and `records` where its answers list some by this name, and shows what comes in `told`; meanwhile the button stops it.
export async function send(api, asked, button, told) {
  if (button.stop) return button.stop();
  const stopping = new AbortController();
  button.stop = () => stopping.abort();
  button.textContent = 'Stop';
  const command = element('details', {}, element('summary', {}, 'As a command'), element('pre', {class: 'plain', tabindex: '0'}, curl(api, asked)));
  const begin = performance.now();
  const took = () => seconds((performance.now() - begin) / 1000);
  try {
    const body = asked.method === 'GET' ? undefined : asked.body;
    const response = await fetch(api.url(asked.path), {method: asked.method, headers: {...asked.headers, ...api.credentials()}, body, signal: stopping.signal});
    const type = response.headers.get('Content-Type') ?? '';
    const headers = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
    const show = (buffer) => told.replaceChildren(
      element('p', {class: 'line'}, element('span', {class: `status ${response.ok ? 'good' : 'bad'}`}, `${response.status} ${response.statusText}`),
              element('span', {}, took()), element('span', {class: 'soft'}, bytes(buffer.byteLength)),
              response.headers.has('X-Sluice-Device') ? element('span', {class: 'soft'}, `on ${response.headers.get('X-Sluice-Device')}`) : null),
      bodyNode(type, buffer, asked.records),
      element('details', {}, element('summary', {}, 'Headers'), element('pre', {class: 'plain', tabindex: '0'}, headers)), command);
    show(await read(response, show));
  } catch (error) {
    const why = stopping.signal.aborted ? `Stopped after ${took()}.` : `No answer: ${error.message}`;
    told.replaceChildren(element('p', {class: 'status bad'}, why), command);
  } finally {
    button.stop = null;
    button.textContent = 'Send';
  }
}
