/* unsandbox.hpp. A callback that throws: the exception arrives, nothing leaks (the sanitizer looks),
 * and the client can be used again. Programs that fail, clients that could not be opened. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.hpp"
#include <iostream>
#include <stdexcept>

int main()
{
    unsandbox::client client;
    bool caught = false;
    try {
        client.run("python", "print('x' * 100000)", [](const char *, std::size_t) -> bool {
            throw std::runtime_error("enough");
        });
    } catch (const std::runtime_error &) {
        caught = true;
    }
    unsandbox::client moved = std::move(client);
    unsandbox::outcome stopped =
        moved.run("python", "print(1)", [](const char *, std::size_t) { return false; });
    std::string taken;
    unsandbox::outcome given =
        moved.run("python", "print(6 * 7)", [&taken](const char *data, std::size_t size) {
            taken.append(data, size);
            return true;
        });
    unsandbox::outcome failed = moved.run("python", "import sys\nsys.exit(3)");
    unsb_desktop_options nowhere = unsb_desktop_options();
    nowhere.url = "nowhere";
    unsandbox::client closed(nowhere);
    unsandbox::outcome none = closed.run("python", "print(1)");
    unsandbox::outcome o = moved.run("python", "print(6 * 7)");
    std::cout << (o ? o.out : o.why);
    return caught && o && stopped.rc == UNSB_E_SINK && moved.status() == UNSB_OK &&
                   moved.desktop().opened && given && given.out.empty() && taken == o.out &&
                   !failed && failed.rc == UNSB_OK && failed.exit_code == 3 &&
                   failed.why.find("exit code 3") != std::string::npos &&
                   closed.status() == UNSB_E_DESKTOP_URL && none.rc == closed.status() &&
                   none.why.find("no scheme") != std::string::npos
               ? 0
               : 1;
}
