/* hello.c in C++11: the output comes as a std::string, or by a lambda as it arrives. */
#define UNSANDBOX_IMPLEMENTATION
#include "unsandbox.hpp"
#include <iostream>

int main()
{
    unsandbox::client client;
    unsandbox::outcome first = client.run("python", "print(6 * 7)");
    if (!first) {
        std::cerr << first.why << '\n';
        return 1;
    }
    std::cout << first.out;
    unsandbox::outcome second = client.run(
        "python", "for i in range(3): print(i)", [](const char *data, std::size_t size) {
            return bool(std::cout.write(data, static_cast<std::streamsize>(size)));
        });
    return second ? 0 : 1;
}
