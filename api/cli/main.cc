// The program `guideway`.
#include <csignal>
#include <iostream>

#include "api/cli/cli.h"

int main(int argc, char** argv) {
    // A reader that goes away (`| head`) and a TLS server that closes are told by errors, which say more than a signal.
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return guideway::cli::run({argv + 1, argv + argc}, {std::cin, std::cout, std::cerr});
    } catch (const std::exception& error) {
        std::cerr << "guideway: " << error.what() << '\n';
        return guideway::cli::kFailed;
    }
}
