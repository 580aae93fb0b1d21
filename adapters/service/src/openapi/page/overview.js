// What is going on: figures that are asked for every two seconds while somebody looks.
import {bar, curves, lines} from './charts.js';
import {at, bytes, digits, element, seconds, shape} from './dom.js';
import {gauge, parsed, percentile, requests} from './figures.js';

const period = 2, longest = 300, window = 10;  // seconds
const history = [], readings = [];

function note(text) {
  at('figures-note').hidden = text === '';
  if (at('figures-note').textContent !== text) at('figures-note').textContent = text;
}

const legend = (...parts) => element('span', {class: 'legend'}, parts.map(([mark, name, value]) =>
  element('span', {class: mark}, value, element('small', {}, ` ${name}`))));

function drawLines() {
  const latest = history.at(-1), span = Math.min(longest, Math.max(60, latest.time - history[0].time));
  const rate = (h) => at('rate-now').replaceChildren(h.rate === null ? '–' : digits(h.rate));
  const latency = (h) => at('latency-now').replaceChildren(legend(['one', 'median', seconds(h.p50)], ['two', '99 %', seconds(h.p99)]));
  rate(latest);
  latency(latest);
  lines(at('rate'), {history, span, label: digits, lines: [{name: 'rate', mark: 'one'}], hover: (h) => rate(h ?? history.at(-1)),
                     says: `Requests a second over the last minutes, now ${digits(latest.rate ?? 0)}`});
  lines(at('latency'), {history, span, label: seconds, lines: [{name: 'p50', mark: 'one'}, {name: 'p99', mark: 'two'}],
                        hover: (h) => latency(h ?? history.at(-1)),
                        says: `Latency over the last minutes, now ${seconds(latest.p50)} in the median and ${seconds(latest.p99)} for 99 %`});
}

function take(figures) {
  const now = {time: performance.now() / 1000, ...requests(figures)};
  const last = readings.at(-1);
  if (last && now.count < last.count) readings.length = history.length = 0;  // the server began anew
  while (readings.length > 1 && now.time - readings[0].time > window) readings.shift();
  const before = readings[0];  // some seconds back, for percentiles of more than a few requests
  const rate = readings.length > 0 ? (now.count - readings.at(-1).count) / (now.time - readings.at(-1).time) : null;
  readings.push(now);
  history.push({time: now.time, rate, p50: before ? percentile(before, now, 0.5) : null, p99: before ? percentile(before, now, 0.99) : null});
  while (now.time - history[0].time > longest) history.shift();
  drawLines();
  drawSlots(figures);
}

function drawSlots(figures) {
  const slots = gauge(figures, 'sluice_compute_slots') ?? 0, taken = gauge(figures, 'sluice_compute_slots_in_use') ?? 0;
  const waiting = gauge(figures, 'sluice_compute_queue_length') ?? 0;
  const cells = Array.from({length: Math.min(slots, 64)}, (_, i) => element('span', {class: i < taken ? 'cell taken' : 'cell'}));
  const queue = Array.from({length: Math.min(waiting, 24)}, () => element('span', {class: 'cell waiting'}));
  at('slots').replaceChildren(
    element('p', {class: 'figure'}, `${taken} of ${slots}`),
    element('div', {class: 'cells', role: 'img', 'aria-label': `${taken} of ${slots} slots at work, ${waiting} requests waiting`}, cells, queue),
    element('p', {class: 'note item'}, waiting === 0 ? 'Nobody waits.' : waiting === 1 ? 'One request waits.' : `${waiting} requests wait.`));
}

function drawDevices({devices, refusals}, figures) {
  const pool = (device, state) => (figures?.get('sluice_device_memory_bytes') ?? [])
    .find((s) => s.labels.device === device && s.labels.state === state)?.value ?? 0;
  const shown = devices.map((d) => {
    const used = d.memory_total - d.memory_free, own = pool(d.device, 'in_use') + pool(d.device, 'pooled');
    const known = d.memory_total > 0;
    return element('div', {class: 'item'},
      element('div', {class: 'top'}, element('span', {title: d.description}, d.device),
              element('span', {}, known ? `${bytes(used)} of ${bytes(d.memory_total)}` : d.awake ? '' : 'asleep')),
      known ? bar(used / d.memory_total, {part: own / d.memory_total, mark: d.healthy ? '' : 'bad',
                                          says: `${d.device}: ${bytes(used)} of ${bytes(d.memory_total)} taken, ${bytes(own)} by this service`}) : null,
      element('p', {class: 'note'}, d.healthy ? `${d.description}${own > 0 ? `; ${bytes(own)} ours` : ''}` : d.state));
  });
  const refused = refusals.map((r) => element('p', {class: 'note item'}, `${r.backend} was refused: ${r.reason}`));
  at('devices').replaceChildren(...shown, ...refused);
}

const words = {queued: 'waits', running: '', done: 'done', failed: 'failed', cancelled: 'cancelled'};

function drawJobs(jobs) {
  if (jobs.length === 0) return at('jobs').replaceChildren(element('p', {class: 'note item'}, 'No jobs.'));
  at('jobs').replaceChildren(...jobs.slice(0, 6).map((j) => {
    const share = j.state === 'done' ? 1 : j.bytes_total > 0 ? (j.bytes ?? 0) / j.bytes_total : 0;
    const left = j.state === 'running' && j.seconds_left ? `, ${seconds(j.seconds_left)} left` : '';
    const state = words[j.state] || `${Math.floor(100 * share)} %${left}`;
    return element('div', {class: 'item'},
      element('div', {class: 'top'}, element('span', {title: j.id}, `${j.operation ?? ''} ${j.input ?? j.id}`), element('span', {}, state)),
      bar(share, {mark: j.state === 'failed' ? 'bad' : j.state === 'done' ? 'done' : '', says: `${j.operation ?? 'job'} ${j.input ?? j.id}: ${state}`}),
      j.error?.detail ? element('p', {class: 'note'}, j.error.detail) : null);
  }));
}

// Where devices would be asked for a product of n x n matrices, by what each predicts.
const sizes = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192];

async function drawCrossing(api) {
  const into = at('crossing');
  const say = (text) => into.replaceChildren(element('p', {class: 'note item'}, text));
  if (!api.has('/v1/placement', 'post')) return say('This service does not tell where it would compute.');
  const points = (await api.json('/v1/placement', {operation: 'matmul', dtype: 'f32', sizes}))?.points;
  if (!points?.length || points.some((p) => !p.predictions?.length)) return say('The service has no predictions yet.');
  const names = [...new Set(points.flatMap((p) => p.predictions.map((q) => q.device)))].slice(0, 2);
  const series = names.map((name, i) => ({name, mark: i === 0 ? 'one' : 'two', points: points.flatMap((p) =>
    p.predictions.filter((q) => q.device === name).map((q) => [p.size, q.seconds]))}));
  const cross = points.find((p) => p.device !== points[0].device);
  const sentence = names.length < 2 ? `Only ${names[0]} is there: nothing to cross.`
    : cross ? `From n = ${cross.size} on, ${cross.device} is chosen.` : `${points[0].device} is chosen at every size.`;
  const svg = shape('svg', {class: 'chart', role: 'img'});
  into.replaceChildren(element('p', {class: 'item'}, legend(...series.map((s) => [s.mark, '', s.name]))), svg,
                       element('p', {class: 'note item'}, `${sentence} Predicted times of an n × n product in f32.`));
  curves(svg, {series, labelX: (n) => String(Math.round(n)), labelY: seconds, cross: cross?.size, says: sentence});
}

async function look(api) {
  const ready = await api.get('/health/ready');
  const health = await ready?.json().catch(() => null);
  at('state').className = `pill ${health?.ready ? 'good' : 'bad'}`;
  const text = !health ? 'does not answer' : !health.ready ? 'not ready' : health.degraded ? 'ready, degraded' : 'ready';
  if (at('state').textContent !== text) at('state').textContent = text;
  if (!health) return note('The service does not answer; these are the last figures.');
  if (api.needsToken && !api.token) return note('Figures need a bearer token: put one in above.');
  const metrics = await api.get('/metrics');
  if (metrics?.status === 401) return note('The service does not know this bearer token.');
  if (!metrics?.ok) return note('There are no figures: /metrics does not answer.');
  note('');
  const figures = parsed(await metrics.text());
  take(figures);
  const devices = await api.json('/v1/devices');
  if (devices) drawDevices(devices, figures);
  if (api.has('/v1/jobs', 'get')) drawJobs((await api.json('/v1/jobs?limit=6'))?.jobs ?? []);
}

export async function watch(api) {
  if (!api.has('/v1/jobs', 'get')) at('jobs').replaceChildren(element('p', {class: 'note item'}, 'This service takes no jobs.'));
  let tokenOfCrossing = null;
  const turn = async () => {
    if (!document.hidden) {
      await look(api).catch(() => {});
      const may = !api.needsToken || api.token;
      if (may && tokenOfCrossing !== api.token) {
        tokenOfCrossing = api.token;
        await drawCrossing(api).catch(() => {});
      }
    }
    setTimeout(turn, period * 1000);
  };
  await turn();
  new ResizeObserver(() => history.length > 0 && drawLines()).observe(at('rate'));
}
