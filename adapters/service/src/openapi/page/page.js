// The page: asks for the document, lists what is in it, and watches the figures.
import {at, element} from './dom.js';
import {list} from './routes.js';
import {watch} from './overview.js';

const place = new URL('openapi.json', document.baseURI);

const api = {
  document: null,
  token: '',
  needsToken: false,
  has: (path, method) => api.document.paths[path]?.[method] !== undefined,
  url: (path) => new URL(api.document.servers?.[0]?.url ?? '.', place).href.replace(/\/$/, '') + path,
  credentials: () => (api.token ? {Authorization: `Bearer ${api.token}`} : {}),
  // A response of any status, or null.
  get: (path) => fetch(api.url(path), {headers: api.credentials()}).catch(() => null),
  // What was answered with 200, else null.
  async json(path, body) {
    const more = body === undefined ? {} : {method: 'POST', body: JSON.stringify(body)};
    const type = body === undefined ? {} : {'Content-Type': 'application/json'};
    const response = await fetch(api.url(path), {...more, headers: {...type, ...api.credentials()}}).catch(() => null);
    return response?.ok ? response.json() : null;
  },
};

async function begin() {
  const response = await fetch(place);
  if (!response.ok) throw new Error(`openapi.json answers ${response.status}`);
  api.document = await response.json();
  at('version').textContent = api.document.info.version;
  api.needsToken = api.document.components?.securitySchemes?.bearer !== undefined;
  at('access').hidden = !api.needsToken;
  at('access').addEventListener('submit', (event) => event.preventDefault());
  at('token').addEventListener('change', () => { api.token = at('token').value.trim(); });
  list(api, at('routes'), at('filter'));
  await watch(api);
}

begin().catch((error) => at('routes').replaceChildren(element('p', {class: 'note'}, `The page cannot be drawn: ${error.message}`)));
