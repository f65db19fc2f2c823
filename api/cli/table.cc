#include "api/cli/table.h"

#include <algorithm>
#include <ostream>
#include <utility>

#include "api/cli/text.h"

namespace guideway::cli {

Table::Table(std::vector<std::string> header) : widths_(header.size()) { rows_.push_back(std::move(header)); }

void Table::add(std::vector<std::string> cells) { rows_.push_back(whole(std::move(cells))); }

void Table::print(std::ostream& out) {
    for (const auto& row : rows_) {
        for (std::size_t i = 0; i < row.size(); ++i) widths_[i] = std::max(widths_[i], row[i].size());
    }
    for (const auto& row : rows_) write(out, row);
}

void Table::print_row(std::ostream& out, std::vector<std::string> cells) const { write(out, whole(std::move(cells))); }

std::vector<std::string> Table::whole(std::vector<std::string> cells) const {
    for (std::string& cell : cells) {
        cell = cell.empty() ? "-" : printable(std::move(cell));
    }
    cells.resize(widths_.size(), "-");
    return cells;
}

void Table::write(std::ostream& out, const std::vector<std::string>& cells) const {
    std::string line;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        line += cells[i];
        // The last column is not padded: no spaces at the end of a line.
        if (i + 1 < cells.size()) line.append(std::max(widths_[i], cells[i].size()) - cells[i].size() + 3, ' ');
    }
    out << line << '\n';
}

}  // namespace guideway::cli
