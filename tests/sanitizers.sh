# The sanitizers that the suites are not run under elsewhere: sourced by all.sh. With tests/mini in
# cmocka's place, so that all of a program is instrumented.

say "== under MemorySanitizer, and where integers wrap or are cut"
need "to build the suites with MemorySanitizer" "command -v clang" clang \
    "test -e /usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.msan-x86_64.a" libclang-rt-14-dev
sanitized="test_base64 test_json_reader test_json_writer test_http test_parts test_request test_client \
    test_faults test_dialects test_tolerance test_exchange"
for small in 0 1; do
    variant "clang, MemorySanitizer, UNSB_SMALL=$small" "$BUILD/memory_$small" "$sanitized" CC=clang \
        CFLAGS="-O1 -g -Imini -fsanitize=memory -fno-sanitize-recover=all -DUNSB_SMALL=$small"
    variant "clang, integers, UNSB_SMALL=$small" "$BUILD/integer_$small" "$sanitized test_sign" \
        CC=clang CFLAGS="-O1 -g -Imini -fsanitize=integer,undefined,bounds -fno-sanitize-recover=all \
        -fsanitize-ignorelist=analysers_integer.txt -DUNSB_SMALL=$small"
done
