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
    void print(std::ostream& out) const;

  private:
    std::vector<std::vector<std::string>> rows_;
};

}  // namespace guideway::cli
