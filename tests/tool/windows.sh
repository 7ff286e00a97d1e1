# unsb.exe under Wine. Sourced by tool.sh.

need "for the command-line tool on Windows" \
    "command -v x86_64-w64-mingw32-gcc" gcc-mingw-w64-x86-64 \
    "command -v wine" wine "test -e /usr/lib/wine/wine64" wine64 \
    "test -e /usr/share/mingw-w64/include/winsock2.h" mingw-w64-common

: >"$WORK/tap"
x86_64-w64-mingw32-gcc -std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wcast-align \
    -Wundef -Werror -I.. -I../ports ../examples/unsb.c -o "$tool/unsb.exe" \
    -lws2_32 -lsecur32 -lcrypt32 -lshell32 >"$tool/log" 2>&1
tool_verdict "mingw"
count "unsb [Windows build]"

WINEPREFIX=$tool/wine WINEDEBUG=-all
export WINEPREFIX WINEDEBUG
timeout 300 wine wineboot -i >"$tool/log" 2>&1 </dev/null
wineserver -p60 >/dev/null 2>&1
tool_tests "Windows (Wine)" "/usr/lib/wine/wine64 $tool/unsb.exe" \
    Running.test_code Running.test_file_by_extension Running.test_file_by_shebang \
    Running.test_stdin Running.test_exit_status Running.test_environment_and_files \
    Running.test_ttl Running.test_output_that_is_no_text Running.test_much_output \
    Running.test_huge_argument Running.test_json Running.test_async_job_wait \
    Running.test_jobs_and_cancel Running.test_languages Running.test_key Running.test_request \
    Mistakes.test_help Mistakes.test_files_that_are_none Mistakes.test_keys \
    Mistakes.test_terminal_sequences_in_messages Mistakes.test_nobody_there Mistakes.test_urls \
    Mistakes.test_secrets_stay_secret OnTerminal.test_interrupt_with_json Tls \
    Artifacts.test_compiled Artifacts.test_names_are_no_paths Artifacts.test_failures \
    Artifacts.test_directory_that_is_none Artifacts.test_two_of_one_name
wineserver -k >/dev/null 2>&1
wineserver -w >/dev/null 2>&1
unset WINEPREFIX WINEDEBUG
