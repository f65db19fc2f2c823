// The program `guideway`.
#include <iostream>

#include "api/cli/cli.h"

int main(int argc, char** argv) {
    try {
        return guideway::cli::run({argv + 1, argv + argc}, {std::cin, std::cout, std::cerr});
    } catch (const std::exception& error) {
        std::cerr << "guideway: " << error.what() << '\n';
        return guideway::cli::kFailed;
    }
}
