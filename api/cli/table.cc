#include "api/cli/table.h"

#include <algorithm>
#include <ostream>
#include <utility>

namespace guideway::cli {

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> cells) {
    for (std::string& cell : cells) {
        if (cell.empty()) cell = "-";
    }
    cells.resize(rows_.front().size(), "-");
    rows_.push_back(std::move(cells));
}

void Table::print(std::ostream& out) const {
    std::vector<std::size_t> widths(rows_.front().size());
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            line += row[i];
            // The last column is not padded: no spaces at the end of a line.
            if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 3, ' ');
        }
        out << line << '\n';
    }
}

}  // namespace guideway::cli
