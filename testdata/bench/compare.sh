#!/bin/sh
# Compares the speed of exp with that of a PyTorch program of the same models,
# row by row:
#
#	testdata/bench/compare.sh [--only REGEX] [--rounds N] [--steps N] [--seconds S] [--json]
#
# A row is a model, a width and a vocabulary; batches are 64 pairs of 20 source
# and 20 target tokens, and one pair in the rows that end in -b1. Each round runs exp and then PyTorch, either in a process
# of its own with one thread, so that what else the machine does falls on both.
# Speeds are medians of the rounds, and the ratio is the median of the rounds'
# ratios, ours over theirs, beside the smallest and the largest. x floor is the
# time of a step over that of its matrix products alone at the core's peak, as
# each program measures it.
#
# EXP_TORCH_BENCH names the PyTorch program. Both must have the same number of
# parameters, but that its additive attention adds a bias to the keys, one number
# a hidden unit: a row where they do not is reported, and the exit code is 1.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
torch=${EXP_TORCH_BENCH:-$root/../shared/bench/torch_seq2seq.py}
python=/usr/bin/python3
only='' rounds=3 steps=30 seconds=5 format=table

usage() {
	echo "compare.sh: $1; usage: compare.sh [--only REGEX] [--rounds N] [--steps N] [--seconds S] [--json]" >&2
	exit 2
}
while [ $# -gt 0 ]; do
	case $1 in
	--json) format=json; shift; continue ;;
	--only | --rounds | --steps | --seconds) [ $# -gt 1 ] || usage "$1 wants a value" ;;
	*) usage "unknown argument $1" ;;
	esac
	case $1 in
	--only) only=$2 ;;
	--rounds) rounds=$2 ;;
	--steps) steps=$2 ;;
	--seconds) seconds=$2 ;;
	esac
	shift 2
done
[ -f "$torch" ] || usage "there is no PyTorch program $torch; EXP_TORCH_BENCH names it"

# rows lists, in each line: name, file, hidden size, vocabulary, batch, mode, and the
# arguments of the PyTorch program for the model.
rows() {
	for hidden in 64 128 256 512; do
		for model in rnn lstm gru transformer; do
			echo "$model-$hidden $model $hidden 1000 64 train --cell $model"
		done
		for model in lstm transformer; do
			echo "$model-$hidden-v8000 $model $hidden 8000 64 train --cell $model"
		done
		echo "lstm-additive-feeding-$hidden lstm_additive_feeding $hidden 1000 64 train --cell lstm --attention additive --input-feeding"
		for model in lstm transformer; do
			echo "$model-greedy-$hidden $model $hidden 1000 64 greedy --cell $model"
			echo "$model-greedy-$hidden-b1 $model $hidden 1000 1 greedy --cell $model"
		done
	done
}

# sizes prints the overrides that make the model of a file this wide.
sizes() {
	for side in encoder decoder; do
		case $1 in
		transformer) echo "--set model.$side.model_size=$2 --set model.$side.ffn_size=$((4 * $2))" ;;
		*) echo "--set model.$side.embedding_size=$2 --set model.$side.hidden_size=$2" ;;
		esac
	done
	case $1 in
	*additive*) echo "--set model.attention.attention_size=$2" ;;
	esac
}

# PyTorch is faster with this allocator than with the C library's.
malloc=
for file in /usr/lib/*/libtcmalloc_minimal.so.4 /usr/lib/libtcmalloc_minimal.so.4; do
	[ ! -f "$file" ] || malloc=$file
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
(cd "$root" && go build -o "$work/exp" ./cmd/exp)
rows | only=$only awk '$1 ~ ENVIRON["only"]' >"$work/rows"
[ -s "$work/rows" ] || usage "no row's name matches $only"
cat >"$work/summarise.py" <<'PYTHON'
import json, statistics, sys

format, row, bias, ours, theirs = sys.argv[1:]
ours, theirs = ([json.loads(line) for line in open(file)] for file in (ours, theirs))
median = lambda runs, key: statistics.median(r[key] for r in runs)
ratios = sorted(o["tokens_per_second"] / t["tok_s"] for o, t in zip(ours, theirs))
out = dict(row=row, ours_tok_s=round(median(ours, "tokens_per_second"), 1), torch_tok_s=median(theirs, "tok_s"),
           ratio=round(statistics.median(ratios), 3), ratio_min=round(ratios[0], 3), ratio_max=round(ratios[-1], 3),
           ours_x_floor=round(median(ours, "x_floor"), 3), torch_x_floor_cal=median(theirs, "x_floor_cal"),
           ours_rss_mb=round(median(ours, "peak_rss_mb"), 1), torch_rss_mb=median(theirs, "peak_rss_mb"),
           ours_parameters=ours[0]["parameters"], torch_parameters=theirs[0]["params"])
if format == "json":
    print(json.dumps(out), flush=True)
else:
    print("{row:26} {ours_parameters:>12,} {ours_tok_s:>10,.0f} {torch_tok_s:>10,.0f}  {ratio:>6.2f} {ratio_min:>6.2f} {ratio_max:>6.2f}  "
          "{ours_x_floor:>6.2f} {torch_x_floor_cal:>6.2f}  {ours_rss_mb:>6.0f} {torch_rss_mb:>6.0f}".format(**out), flush=True)
if out["ours_parameters"] + int(bias) != out["torch_parameters"]:
    sys.exit("compare.sh: {row}: exp has {ours_parameters:,} parameters and PyTorch {torch_parameters:,}".format(**out))
PYTHON

if [ $format = table ]; then
	heading='%-26s %12s %10s %10s  %6s %6s %6s  %6s %6s  %6s %6s\n'
	# shellcheck disable=SC2059
	printf "$heading" '' '' tokens/s '' ratio '' '' 'x floor' '' 'RSS MB' ''
	# shellcheck disable=SC2059
	printf "$heading" row parameters exp torch median min max exp torch exp torch
fi
failed=0
while read -r name file hidden vocabulary batch mode arguments; do
	: >"$work/ours"
	: >"$work/theirs"
	round=0
	while [ $round -lt "$rounds" ]; do
		# shellcheck disable=SC2046,SC2086 # lists of words
		GOMAXPROCS=1 "$work/exp" bench "$root/testdata/bench/$file.toml" $(sizes "$file" "$hidden") --mode "$mode" --json \
			--batch "$batch" --source-length 20 --target-length 20 --vocabulary "$vocabulary" \
			--steps "$steps" --seconds "$seconds" >>"$work/ours"
		# shellcheck disable=SC2086
		LD_PRELOAD=$malloc "$python" "$torch" $arguments --hidden "$hidden" --mode "$mode" --threads 1 \
			--batch "$batch" --src-len 20 --tgt-len 20 --vocab "$vocabulary" \
			--steps "$steps" --max-seconds "$seconds" >>"$work/theirs"
		round=$((round + 1))
	done
	case $name in
	*additive*) bias=$hidden ;;
	*) bias=0 ;;
	esac
	"$python" "$work/summarise.py" "$format" "$name" "$bias" "$work/ours" "$work/theirs" || failed=1
done <"$work/rows"
exit $failed
