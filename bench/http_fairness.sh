#!/usr/bin/env bash
# http_fairness.sh BIN_FOLDER [SECONDS]: an application's own GET /items/1 on the example server: without load, beside 8
# clients that post 1024 x 1024 matrices without pause, and with 1,000 idle connections. Two clients ask 100 times a second.
set -euo pipefail
bin=$1 seconds=${2:-6}
port=8090
data=$(mktemp -d)
"$bin/sluice-server" --port $port --threads 1100 --data-dir "$data" >/dev/null &
server=$!
trap 'kill $server; wait $server 2>/dev/null || true; rm -rf "$data"' EXIT
until curl -fs "http://127.0.0.1:$port/health/live" >/dev/null; do sleep 0.1; done
curl -fs "http://127.0.0.1:$port/items" -d '{"text": "milk"}' >/dev/null
look() { "$bin/http_load" --port $port --path /items/1 --clients 2 --rate 100 --seconds "$seconds"; }
beside_load() {
  "$bin/http_load" --port $port --path /gpu_multiply --matrix 1024 --clients 8 --seconds "$((seconds + 2))" >"$data/load" &
  local load=$!
  sleep 0.7
  look
  wait $load
  printf '                        the matrices:   %s\n' "$(cat "$data/load")"
}
printf 'alone:                  '; look
printf 'beside 8 matrices:      '; beside_load
python3 - "$port" <<'P' &
import socket, sys, time
idle = [socket.create_connection(("127.0.0.1", int(sys.argv[1]))) for _ in range(1000)]
time.sleep(600)
P
idle=$!
sleep 3
printf 'and 1,000 idle clients: '; beside_load
kill $idle
