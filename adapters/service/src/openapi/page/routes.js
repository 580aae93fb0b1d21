// Every route of the document, with a form to try it.
import {element, picture} from './dom.js';
import {compact, send} from './send.js';

function resolved(api, thing) {
  while (thing?.$ref) thing = thing.$ref.slice(2).split('/').reduce((at, key) => at?.[key.replaceAll('~1', '/').replaceAll('~0', '~')], api.document);
  return thing ?? {};
}

let fields = 0;

function parameterField(api, given) {
  const p = resolved(api, given), schema = resolved(api, p.schema), id = `field-${++fields}`;
  const all = schema.enum ?? (schema.const === undefined ? null : [schema.const]);
  const choices = all && p.in === 'query' && !p.required && schema.default === undefined ? ['', ...all] : all;  // '': not sent
  const input = choices ? element('select', {id}, choices.map((c) => element('option', {}, String(c))))
                        : element('input', {id, type: 'text', autocomplete: 'off', spellcheck: 'false'});
  // What may be left out is shown as an example, not sent.
  const example = p.example ?? schema.default;
  if (example !== undefined && !choices) p.required ? input.value = String(example) : input.placeholder = String(example);
  if (choices && schema.default !== undefined) input.value = String(schema.default);
  const node = element('div', {class: 'field'}, element('label', {for: id}, p.name), input,
                       p.description ? element('small', {}, p.description) : null);
  return {node, name: p.name, place: p.in, needed: p.required || schema.default !== undefined, value: () => input.value, usual: schema.default === undefined ? '' : String(schema.default)};
}

// The body in one media type: text with the example filled in, a file, or a file for each part.
function bodyField(api, type, content) {
  const id = `field-${++fields}`;
  if (type === 'multipart/form-data') {
    const parts = Object.entries(resolved(api, content.schema).properties ?? {})
      .map(([name, schema]) => ({name, id: `${id}-${name}`, choices: schema.enum, isNumber: schema.type === 'number', isPicture: JSON.stringify(schema).includes('image/')}));
    const isText = (part) => part.choices || part.isNumber;
    const inputs = parts.map((part) => part.choices ? element('select', {id: part.id}, ['', ...part.choices].map((c) => element('option', {}, String(c))))
                                                    : element('input', {id: part.id, type: part.isNumber ? 'text' : 'file'}));
    const label = (part) => isText(part) ? part.name : part.isPicture ? `${part.name}, a picture or .npy` : `${part.name}, as .npy`;
    const node = element('div', {class: 'ask'}, parts.map((part, i) =>
      element('div', {class: 'field'}, element('label', {for: part.id}, label(part)), inputs[i])));
    return {node, body: () => {
      const form = new FormData();
      parts.forEach((part, i) => {
        const value = isText(part) ? inputs[i].value : inputs[i].files[0];
        if (value) form.append(part.name, value);
      });
      return form;
    }};
  }
  if (!/json|text/.test(type)) {
    const isPicture = type.startsWith('image/'), seen = element('div');
    const input = element('input', {id, type: 'file', accept: isPicture && 'image/jpeg,image/png', change: () => {
      if (isPicture) seen.replaceChildren(...[...input.files].map((file) => picture(file, file.name, 'The picture that is sent')));
    }});
    const node = element('div', {class: 'field'}, element('label', {for: id}, isPicture ? 'A picture, from a file' : 'Body, from a file'), input, seen);
    return {node, body: () => input.files[0] ?? ''};
  }
  const example = content.example === undefined ? '' : compact(content.example);
  const input = element('textarea', {id, spellcheck: 'false', rows: Math.min(14, Math.max(4, example.split('\n').length + 1))});
  input.value = example;
  return {node: element('div', {class: 'field'}, element('label', {for: id}, 'Body'), input), body: () => input.value};
}

function bodyChooser(api, requestBody) {
  const contents = Object.entries(resolved(api, requestBody).content ?? {});
  if (contents.length === 0) return {node: null, type: () => null, body: () => undefined};
  const id = `field-${++fields}`, room = element('div');
  const made = new Map(contents.map(([type, content]) => [type, bodyField(api, type, content)]));
  const choice = element('select', {id, change: () => room.replaceChildren(made.get(choice.value).node)},
                         contents.map(([type]) => element('option', {}, type)));
  room.replaceChildren(made.get(contents[0][0]).node);
  const node = element('div', {class: 'ask'}, element('div', {class: 'field'}, element('label', {for: id}, 'Content-Type'), choice), room);
  return {node, type: () => choice.value, body: () => made.get(choice.value).body()};
}

function answersList(api, responses) {
  const all = Object.entries(responses).map(([status, given]) => [element('dt', {}, status), element('dd', {}, resolved(api, given).description ?? '')]);
  return element('details', {}, element('summary', {}, 'What it may answer'), element('dl', {class: 'answers'}, all));
}

// An Accept header where the answer comes in several forms.
function acceptField(api, route) {
  const types = Object.keys(resolved(api, route.responses['200']).content ?? {});
  if (types.length < 2) return null;
  return parameterField(api, {name: 'Accept', in: 'header', schema: {enum: ['*/*', ...types]}, description: 'The form of the answer'});
}

// The name under which JSON answers list records.
function recordsName(api, route) {
  const json = resolved(api, route.responses['200'])?.content?.['application/json'];
  const member = Object.entries(resolved(api, json?.schema).properties ?? {}).find(([, schema]) => /\.record"/.test(JSON.stringify(schema)));
  return member?.[0];
}

function form(api, path, method, route) {
  const parameters = (route.parameters ?? []).map((p) => parameterField(api, p));
  const needed = parameters.filter((p) => p.needed), optional = parameters.filter((p) => !p.needed);
  const accept = acceptField(api, route);
  if (accept) parameters.push(accept);
  const body = bodyChooser(api, route.requestBody);
  const told = element('div', {class: 'told', 'aria-live': 'polite'}, element('p', {class: 'note'}, 'Nothing sent yet.'));
  const go = element('button', {class: 'go', type: 'submit'}, 'Send');
  const asked = () => {
    let url = path;
    const query = new URLSearchParams(), headers = {};
    for (const p of parameters) {
      if (p.place === 'path') url = url.replace(`{${p.name}}`, encodeURIComponent(p.value()));
      else if (p.value() === '' || p.value() === p.usual) continue;
      else if (p.place === 'query') query.set(p.name, p.value());
      else if (p.value() !== '*/*') headers[p.name] = p.value();
    }
    if (body.type() && body.type() !== 'multipart/form-data') headers['Content-Type'] = body.type();  // the browser adds a boundary
    return {method: method.toUpperCase(), path: url + (query.size > 0 ? `?${query}` : ''), headers, body: body.body(), records: recordsName(api, route)};
  };
  const submit = (event) => {
    event.preventDefault();
    send(api, asked(), go, told);
  };
  return element('div', {class: 'try'},
    route.description ? element('p', {class: 'about'}, route.description.replaceAll('`', '')) : null,
    element('form', {class: 'ask', submit}, needed.filter((p) => p.place === 'path').map((p) => p.node), body.node,
            needed.filter((p) => p.place !== 'path').map((p) => p.node), accept?.node ?? null,
            optional.length > 0 ? element('details', {}, element('summary', {}, 'Optional'), element('div', {class: 'ask'}, optional.map((p) => p.node))) : null,
            element('div', {class: 'buttons'}, go)),
    element('div', {class: 'ask'}, told, answersList(api, route.responses)));
}

// The form is made when it is first opened.
function routeNode(api, path, method, route) {
  const node = element('details', {class: 'route', 'data-words': `${method} ${path} ${route.summary}`.toLowerCase(), toggle: () => {
    if (node.open && node.children.length === 1) node.append(form(api, path, method, route));
  }}, element('summary', {}, element('span', {class: `method ${method}`}, method.toUpperCase()), element('span', {class: 'path'}, path),
              element('span', {class: 'summary'}, route.summary ?? '')));
  return node;
}

export function list(api, into, filter) {
  const groups = new Map((api.document.tags ?? []).map((t) => [t.name, {about: t.description, nodes: []}]));
  for (const [path, item] of Object.entries(api.document.paths))
    for (const [method, route] of Object.entries(item)) {
      const tag = route.tags?.[0] ?? 'other';
      if (!groups.has(tag)) groups.set(tag, {about: '', nodes: []});
      groups.get(tag).nodes.push(routeNode(api, path, method, route));
    }
  // The catalogue first: it is what people come for.
  const order = [...groups].filter(([, g]) => g.nodes.length > 0).sort(([a], [b]) => (b === 'calls') - (a === 'calls'));
  into.replaceChildren(...order.map(([name, g]) => element('details', {class: 'group', open: g.nodes.length <= 12},
    element('summary', {}, element('h3', {}, name), element('span', {class: 'note'}, `${g.about} (${g.nodes.length})`)), g.nodes)));
  filter.addEventListener('input', () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    for (const group of into.children) {
      let any = false;
      for (const node of group.querySelectorAll('.route')) {
        node.hidden = !words.every((w) => node.dataset.words.includes(w));
        any ||= !node.hidden;
      }
      group.hidden = !any;
      if (filter.value !== '' && any) group.open = true;
    }
  });
}
