#!/bin/sh
# Measures what a training step costs at lengths from 64 to 4,096, source and
# target alike, for a recurrent model and a Transformer:
#
#	testdata/bench/lengths.sh [--only REGEX] [--lengths "64 256 ..."] [--steps N] [--seconds S] [--json]
#
# A row is a model and a length, in a process of its own with one thread: one
# pair, width 128, a vocabulary of 1000. ms/step is the median. grows is by how
# much the time of a step grows each time the length doubles: 2 is linear, 4
# quadratic; attention is the share of the step that attention takes, and rest
# the milliseconds of all else, whose growth stands beside it.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
only='' lengths='64 256 1024 4096' steps=9 seconds=5 format=table

usage() {
	echo "lengths.sh: $1; usage: lengths.sh [--only REGEX] [--lengths LIST] [--steps N] [--seconds S] [--json]" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--json) format=json; shift; continue ;;
	--only | --lengths | --steps | --seconds) [ $# -gt 1 ] || usage "$1 wants a value" ;;
	*) usage "unknown argument $1" ;;
	esac
	case $1 in
	--only) only=$2 ;;
	--lengths) lengths=$2 ;;
	--steps) steps=$2 ;;
	--seconds) seconds=$2 ;;
	esac
	shift 2
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$work/exp" ./cmd/exp)
cat >"$work/row.py" <<'PYTHON'
import json, math, sys

format, model, length, state = sys.argv[1:]
cell = json.load(sys.stdin)
attention = sum(r["share"] for r in cell["profile"] if r["operation"] in ("scaled_dot_product", "additive_attention", "attend"))
out = dict(model=model, length=int(length), ms_step=round(cell["ms_step"], 3), peak_rss_mb=round(cell["peak_rss_mb"], 1),
           attention_share=round(attention, 3), rest_ms=round(cell["ms_step"] * (1 - attention), 3))
try: # what the length before took
    before = json.load(open(state))
except FileNotFoundError:
    before = None
if before and before["model"] == model:
    doublings = math.log2(out["length"] / before["length"])
    for key, name in (("ms_step", "grows"), ("rest_ms", "rest_grows")):
        out[name] = round((out[key] / before[key]) ** (1 / doublings), 2)
json.dump(out, open(state, "w"))
if format == "json":
    print(json.dumps(out), flush=True)
else:
    print("{model:24} {length:>6} {ms_step:>10.2f} {:>6} {peak_rss_mb:>7.0f} {:>9.1%} {rest_ms:>10.2f} {:>6}".format(
        out.get("grows", ""), attention, out.get("rest_grows", ""), **out), flush=True)
PYTHON

if [ $format = table ]; then
	printf '%-24s %6s %10s %6s %7s %9s %10s %6s\n' model length ms/step grows 'RSS MB' attention 'rest ms' grows
fi
ran=no
for model in rnn gru lstm lstm_additive lstm_none transformer; do
	echo "$model" | only=$only awk '$0 !~ ENVIRON["only"] { exit 1 }' || continue
	ran=yes
	file=$model attention=
	case $model in
	lstm_none) file=lstm attention="--set model.attention.type='none'" ;;
	esac
	for length in $lengths; do
		# shellcheck disable=SC2086 # a list of words
		GOMAXPROCS=1 "$work/exp" bench "$root/testdata/bench/$file.toml" $attention --json --profile \
			--batch 1 --source-length "$length" --target-length "$length" --vocabulary 1000 \
			--steps "$steps" --seconds "$seconds" >"$work/cell"
		python3 "$work/row.py" $format $model "$length" "$work/before" <"$work/cell"
	done
done
[ $ran = yes ] || usage "no model's name matches $only"
