// From /metrics to numbers that can be drawn.

// Prometheus text as a map from a name to its samples, [{labels, value}].
export function parsed(text) {
  const all = new Map();
  for (const line of text.split('\n')) {
    const parts = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/i.exec(line);
    if (!parts) continue;
    const labels = {};
    for (const [, key, value] of (parts[2] ?? '').matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value;
    if (!all.has(parts[1])) all.set(parts[1], []);
    all.get(parts[1]).push({labels, value: parts[3] === '+Inf' ? Infinity : Number(parts[3])});
  }
  return all;
}

// What this page itself asks for, again and again.
const own = new Set(['metrics', 'devices', 'ready', 'live', 'openapi', 'docs', 'jobs', 'placement']);

export const gauge = (figures, name) => figures.get(name)?.[0]?.value ?? null;

// All requests but the page's own: how many, and how many took up to each bound.
export function requests(figures) {
  const of = (name) => (figures.get(name) ?? []).filter((s) => !own.has(s.labels.route));
  const buckets = new Map();
  for (const s of of('sluice_request_seconds_bucket')) {
    const bound = s.labels.le === '+Inf' ? Infinity : Number(s.labels.le);
    buckets.set(bound, (buckets.get(bound) ?? 0) + s.value);
  }
  return {count: of('sluice_request_seconds_count').reduce((sum, s) => sum + s.value, 0), buckets};
}

// Below which time the given share of the requests between two readings was answered; null when there were none. Within a
// bucket the times count as spread evenly.
export function percentile(before, now, share) {
  const wanted = (now.count - before.count) * share;
  if (!(wanted > 0)) return null;
  let below = 0, from = 0;
  for (const bound of [...now.buckets.keys()].sort((a, b) => a - b)) {
    const upTo = now.buckets.get(bound) - (before.buckets.get(bound) ?? 0);
    if (upTo >= wanted) return bound === Infinity ? from : from + (bound - from) * (wanted - below) / (upTo - below);
    below = upTo;
    from = bound;
  }
  return null;
}
