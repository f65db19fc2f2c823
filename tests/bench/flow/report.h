// Report: rows of figures, printed as a table and written as JSON.
//
// A row is a list of (key, value); keys are those of the JSON. The table shows the same rows, case by case.
// Thread contract: one thread.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "tests/bench/flow/machine.h"

namespace guideway::bench {

/// Of several turns.
struct Spread {
    double median = 0, low = 0, high = 0;
};
Spread spread_of(std::vector<double> values);

class Row {
  public:
    using Value = std::variant<std::string, double, std::vector<double>>;
    explicit Row(const std::string& name) { set("case", name); }
    Row& set(const std::string& key, std::string value) { return put(key, std::move(value)); }
    Row& set(const std::string& key, const char* value) { return put(key, std::string(value)); }
    Row& set(const std::string& key, double value) { return put(key, value); }
    /// The median under `key`, lowest and highest under "spread".
    Row& set(const std::string& key, const Spread& value) {
        put(key, value.median);
        return put("spread", std::vector<double>{value.low, value.high});
    }
    const Value* find(const std::string& key) const;
    const std::vector<std::pair<std::string, Value>>& values() const { return values_; }

  private:
    Row& put(const std::string& key, Value value);
    std::vector<std::pair<std::string, Value>> values_;
};

class Report {
  public:
    /// Shows the row on stderr at once, so that a long run is seen to work.
    void add(Row row);
    void print(const Machine& machine, const std::string& pages) const;
    /// False where the file cannot be written.
    bool write_json(const std::string& path, const Machine& machine, const std::string& pages) const;

  private:
    std::vector<Row> rows_;
};

void progress(const std::string& text);

}  // namespace guideway::bench
