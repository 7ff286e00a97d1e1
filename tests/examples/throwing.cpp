/* A callback that throws: the exception arrives, nothing leaks (the sanitizer looks), and the
 * client can be used again. */
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
    unsandbox::outcome o = moved.run("python", "print(6 * 7)");
    std::cout << (o ? o.out : o.why);
    return caught && o && stopped.rc == UNSB_E_SINK ? 0 : 1;
}
