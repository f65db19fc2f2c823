// The backup decoder takes any bytes: no crash, no exception; what it refuses has a line and a reason; what it takes is encoded to
// the same records again, and those bytes are taken.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>

#include "controlplane/store/backup.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace store = guideway::store;
    namespace backup = guideway::store::backup;
    const backup::Limits limits{1 << 16, 1000, 1 << 20};
    std::string text(reinterpret_cast<const char*>(data), size);
    // A fuzzer does not find SHA-256: a last line without one gets it, so that what comes after the check is reached too.
    std::istringstream stream(text);
    auto decoded = backup::decode(stream, limits);
    if (const auto* why = std::get_if<std::string>(&decoded)) {
        if (why->rfind("line ", 0) != 0 || why->find(": ") == std::string::npos) std::abort();
        const std::size_t found = why->find("that of the lines before is ");
        const std::size_t last = text.rfind("{\"sha256\":\"");
        if (found == std::string::npos || last == std::string::npos) return 0;
        text.replace(last + 11, 64, *why, found + 28, 64);
        stream.clear();
        stream.str(text);
        decoded = backup::decode(stream, limits);
        if (std::holds_alternative<std::string>(decoded)) return 0;
    }
    const auto& [contents, about] = std::get<backup::Decoded>(decoded);
    std::string again;
    if (backup::encode(contents, about, [&](std::string_view bytes) {
            again += bytes;
            return true;
        })) {
        std::abort();
    }
    std::istringstream second(again);
    const auto same = backup::decode(second);
    const auto* kept = std::get_if<backup::Decoded>(&same);
    if (kept == nullptr || kept->contents.records != contents.records || kept->contents.revision != contents.revision) {
        std::abort();
    }
    return 0;
}
