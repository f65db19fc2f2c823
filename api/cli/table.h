// Table: columns aligned for people. Thread contract: one thread at a time.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace guideway::cli {

/// Example: Table table({"NAME", "WEIGHT"}); table.add({"node-1", "1"}); table.print(std::cout);
class Table {
  public:
    explicit Table(std::vector<std::string> header);
    /// As many cells as the header has; an empty cell is shown as "-".
    void add(std::vector<std::string> cells);
    /// The header and all rows.
    void print(std::ostream& out);
    /// After print(): one more row, in the same columns where they are wide enough.
    void print_row(std::ostream& out, std::vector<std::string> cells) const;

  private:
    std::vector<std::string> whole(std::vector<std::string> cells) const;
    void write(std::ostream& out, const std::vector<std::string>& cells) const;

    std::vector<std::vector<std::string>> rows_;
    std::vector<std::size_t> widths_;
};

}  // namespace guideway::cli
