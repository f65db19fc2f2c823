#include "api/cli/drop_help.h"

#include <algorithm>

namespace guideway::cli {

namespace {

/// Without the marks of code.
std::string plain(std::string_view cell) {
    std::string text(cell);
    std::erase(text, '`');
    const auto first = text.find_first_not_of(' ');
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

}  // namespace

std::vector<DropHelp> read_drop_help(std::string_view document) {
    std::vector<DropHelp> rows;
    std::string group;
    while (!document.empty()) {
        const auto end = std::min(document.find('\n'), document.size());
        const std::string_view line = document.substr(0, end);
        document.remove_prefix(std::min(end + 1, document.size()));
        if (line.starts_with("## ")) group = plain(line.substr(3));
        if (!line.starts_with("| `")) continue;
        const auto first = line.find(" | ");
        const auto second = first == std::string_view::npos ? first : line.find(" | ", first + 3);
        const auto last = line.rfind(" |");
        if (second == std::string_view::npos || last < second + 3) continue;
        rows.push_back({plain(line.substr(2, first - 2)), group, plain(line.substr(first + 3, second - first - 3)),
                        plain(line.substr(second + 3, last - second - 3))});
    }
    return rows;
}

const std::vector<DropHelp>& drop_help() {
    static const std::vector<DropHelp> rows = read_drop_help(drops_text());
    return rows;
}

const DropHelp* drop_help_of(std::string_view reason) {
    const auto found = std::ranges::find(drop_help(), reason, &DropHelp::reason);
    return found == drop_help().end() ? nullptr : &*found;
}

}  // namespace guideway::cli
