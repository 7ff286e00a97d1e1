/* C++20's designated initialisers, in the order that it demands: that of the fields. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox_desktop.h"

int main()
{
    unsb_env env = {.name = "A", .value = "1"};
    unsb_file file = {.name = "a.txt", .source = unsb_text("a")};
    unsb_program program = {.language = "python", .code = unsb_text("print(6 * 7)"), .env = &env,
                            .env_count = 1, .files = &file, .file_count = 1,
                            .network = UNSB_NETWORK_ZEROTRUST, .ttl_s = 60};
    unsb_result result = {.out = {.write = unsb_desktop_write, .context = stdout}};
    unsb_header header = {.name = "X-A", .value = "1"};
    unsb_call call = {.method = "POST", .path = "/x", .body = unsb_text("{}"), .headers = &header,
                      .header_count = 1};
    unsb_desktop_options options = {.public_key = "unsb-pk-a", .secret_key = "unsb-sk-a",
                                    .url = "https://localhost", .nonblocking = true};
    unsb_config config = {.host = "localhost", .port = 443, .nonblocking = true};
    return program.file_count == 1 && result.out.write != NULL && call.header_count == 1 &&
                   options.nonblocking && config.port == 443
               ? 0
               : 1;
}
