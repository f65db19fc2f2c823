#include "tests/bench/flow/report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iomanip>
#include <sstream>

namespace guideway::bench {
namespace {

std::string number_text(double value) {
    char text[40];
    const double magnitude = std::fabs(value);
    if (value == std::floor(value) && magnitude < 1e15) {
        std::snprintf(text, sizeof text, "%.0f", value);
    } else {
        std::snprintf(text, sizeof text, magnitude >= 10000 ? "%.0f" : magnitude >= 1000 ? "%.1f" : "%.3g", value);
        if (magnitude >= 1 && magnitude < 1000) std::snprintf(text, sizeof text, "%.1f", value);
    }
    return text;
}

std::string short_text(double value) {
    if (value >= 1e6 && std::fmod(value, 1e5) == 0) return number_text(value / 1e6) + "M";
    if (value >= 1e3 && value < 1e6 && std::fmod(value, 1e3) == 0) return number_text(value / 1e3) + "k";
    if (value >= 1e6) return number_text(std::round(value / 1e4) / 100) + "M";
    return number_text(value);
}

std::string text_of(const Row::Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    if (const auto* number = std::get_if<double>(&value)) return short_text(*number);
    std::string text;
    for (const double number : std::get<std::vector<double>>(value)) {
        text += (text.empty() ? "" : "..") + short_text(number);
    }
    return text;
}

std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return result + "\"";
}

std::string json_number(double value) {
    if (!std::isfinite(value)) return "null";
    char text[40];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

std::string json_of(const Row::Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
    if (const auto* number = std::get_if<double>(&value)) return json_number(*number);
    std::string text;
    for (const double number : std::get<std::vector<double>>(value)) {
        text += (text.empty() ? "[" : ", ") + json_number(number);
    }
    return text + "]";
}

/// For who wants to know more than the table shows: in the JSON and in the progress lines only.
bool in_table(const std::string& key) {
    static const std::vector<std::string> left_out{"case",     "checked",  "fill_ns",   "packets",
                                                   "in_table", "capacity", "json_bytes"};
    return std::ranges::find(left_out, key) == left_out.end();
}

std::string case_of(const Row& row) { return std::get<std::string>(*row.find("case")); }

}  // namespace

Spread spread_of(std::vector<double> values) {
    if (values.empty()) return {};
    std::ranges::sort(values);
    return {values[values.size() / 2], values.front(), values.back()};
}

const Row::Value* Row::find(const std::string& key) const {
    for (const auto& [name, value] : values_) {
        if (name == key) return &value;
    }
    return nullptr;
}

Row& Row::put(const std::string& key, Value value) {
    for (auto& [name, old] : values_) {
        if (name != key) continue;
        old = std::move(value);
        return *this;
    }
    values_.emplace_back(key, std::move(value));
    return *this;
}

void Report::add(Row row) {
    std::string line;
    for (const auto& [key, value] : row.values()) line += (line.empty() ? "" : "  ") + key + " " + text_of(value);
    progress(line);
    rows_.push_back(std::move(row));
}

void Report::print(const Machine& machine, const std::string& pages) const {
    std::printf("machine %s: %s, TSC %.3f GHz, %s, %s\npages   %s\n", machine.host.c_str(), machine.cpu.c_str(),
                machine.tsc_ghz, machine.kernel.c_str(), machine.compiler.c_str(), pages.c_str());
    std::vector<std::string> shown;
    for (const Row& first : rows_) {
        const std::string name = case_of(first);
        if (std::ranges::find(shown, name) != shown.end()) continue;
        shown.push_back(name);
        std::vector<std::string> keys;
        for (const Row& row : rows_) {
            if (case_of(row) != name) continue;
            for (const auto& [key, value] : row.values()) {
                if (in_table(key) && std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
            }
        }
        std::vector<std::vector<std::string>> lines{keys};
        for (const Row& row : rows_) {
            if (case_of(row) != name) continue;
            std::vector<std::string>& line = lines.emplace_back();
            for (const std::string& key : keys) {
                const Row::Value* value = row.find(key);
                line.push_back(value == nullptr ? "-" : text_of(*value));
            }
        }
        std::printf("\n%s\n", name.c_str());
        for (const auto& line : lines) {
            for (std::size_t column = 0; column < keys.size(); ++column) {
                std::size_t width = 0;
                for (const auto& other : lines) width = std::max(width, other[column].size());
                std::printf("  %*s", static_cast<int>(width), line[column].c_str());
            }
            std::printf("\n");
        }
    }
}

bool Report::write_json(const std::string& path, const Machine& machine, const std::string& pages) const {
    std::ofstream file(path);
    file << "[\n";
    for (std::size_t at = 0; at < rows_.size(); ++at) {
        file << "  {";
        for (const auto& [key, value] : rows_[at].values()) file << quoted(key) << ": " << json_of(value) << ", ";
        file << "\"machine\": " << quoted(machine.cpu) << ", \"host\": " << quoted(machine.host)
             << ", \"pages\": " << quoted(pages) << ", \"tsc_ghz\": " << json_number(machine.tsc_ghz) << "}"
             << (at + 1 < rows_.size() ? ",\n" : "\n");
    }
    file << "]\n";
    file.flush();
    return static_cast<bool>(file);
}

void progress(const std::string& text) { std::fprintf(stderr, "flow_bench: %s\n", text.c_str()); }

}  // namespace guideway::bench
