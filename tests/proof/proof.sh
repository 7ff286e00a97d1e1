# What CBMC proves of the parts of unsandbox.h: sourced by all.sh. Those proofs that together take
# five minutes or less of a processor; `sh proof/run.sh` makes the others, too.

say "== proofs of the parts, each with a broken copy that it must refuse"
need "to compile what is run instead of proved" "command -v gcc" gcc
sh proof/run.sh --quick >"$WORK/proof" 2>&1 || grep -q '^not ok' "$WORK/proof" ||
    { echo "not ok - proof/run.sh"; tail -n 12 "$WORK/proof" | sed 's/^/#   /'; } >>"$WORK/proof"
grep -E '^(ok|not ok|#)' "$WORK/proof" >"$WORK/tap"
awk '/^ok .* [0-9]+ properties/ {n++; for (i = 1; i < NF; i++) if ($(i + 1) ~ /^properties/) p += $i
        if ($NF == "s") t += $(NF - 1)}
    END {print "# figures: " n + 0 " proofs of " p + 0 " properties, " t + 0 " s of a processor"}' \
    "$WORK/proof" >>"$WORK/tap"
count "proofs"
