#!/usr/bin/env bash
# http_table.sh BIN_FOLDER [VENV]: the example server beside http_peer, and beside FastAPI where VENV has it (fastapi,
# uvicorn, orjson, numpy); medians of three rounds, in each of which all are asked one after the other. Columns: requests a
# second with 8 clients, and median ms with one.
set -euo pipefail
bin=$1 venv=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
data=$(mktemp -d)
"$bin/sluice-server" --port 8090 --data-dir "$data" >/dev/null & pids=($!)
"$bin/http_peer" 8091 & pids+=($!)
servers=(ours:8090:/health/live peer:8091:/hello)
if [[ -n $venv ]]; then
  (cd "$here" && exec "$venv/bin/uvicorn" http_fastapi:app --port 8092 --workers 2 --log-level critical) & pids+=($!)
  servers+=(fastapi:8092:/hello)
fi
trap 'kill "${pids[@]}"; wait 2>/dev/null || true; rm -rf "$data"' EXIT
sleep 3
ask() { "$bin/http_load" --seconds 1.2 "$@" || true; }
for round in 1 2 3; do
  for column in hello 2 32 256 1024 raw; do
    for server in "${servers[@]}"; do
      IFS=: read -r name port hello <<<"$server"
      case $column in
        hello) what=(--path "$hello") ;;
        raw) what=(--path "$([[ $name == ours ]] && echo /gpu_multiply || echo /raw)" --npy 1024) ;;
        *) what=(--path /gpu_multiply --matrix "$column") ;;
      esac
      many=$(ask --port "$port" --clients 8 "${what[@]}" | cut -d' ' -f2)
      one=$(ask --port "$port" --clients 1 "${what[@]}" | cut -d' ' -f4)
      echo "$column $name $many $one"
    done
  done
done | sort | awk '{ k = $1 " " $2; n[k]++; many[k, n[k]] = $3; one[k, n[k]] = $4 }
  function middle(a, b, c) { return (a > b) == (b > c) ? b : (a > b) == (a < c) ? a : c }
  END { for (k in n) printf "%-16s %10.1f /s %9.3f ms\n", k, middle(many[k, 1] + 0, many[k, 2] + 0, many[k, 3] + 0),
        middle(one[k, 1] + 0, one[k, 2] + 0, one[k, 3] + 0) }' | sort
