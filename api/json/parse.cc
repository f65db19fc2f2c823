#include "api/json/parse.h"

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace guideway::json {

namespace {

using Tree = nlohmann::json;

/// Builds the tree and refuses on the way what the parser itself would let pass.
class StrictBuilder : public nlohmann::json_sax<Tree> {
  public:
    explicit StrictBuilder(unsigned max_depth) : max_depth_(max_depth) {}

    bool null() override { return put(Tree()) != nullptr; }
    bool boolean(bool value) override { return put(Tree(value)) != nullptr; }
    bool number_integer(number_integer_t value) override { return put(Tree(value)) != nullptr; }
    bool number_unsigned(number_unsigned_t value) override { return put(Tree(value)) != nullptr; }
    bool number_float(number_float_t value, const string_t& text) override {
        if (!std::isfinite(value))
            return refuse("found " + text + ", a number no reader can hold, allowed what a double holds");
        return put(Tree(value)) != nullptr;
    }
    bool string(string_t& value) override { return put(Tree(std::move(value))) != nullptr; }
    bool binary(binary_t&) override { return refuse("found binary data, allowed JSON"); }

    bool start_object(std::size_t) override { return open(Tree::object()); }
    bool key(string_t& name) override {
        keys_.back() = name;
        if (open_.back()->contains(name)) return refuse("found this key twice, allowed once");
        return true;
    }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(Tree::array()); }
    bool end_array() override { return close(); }

    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
        std::string what = error.what();
        // "[json.exception.parse_error.101] parse error at line 1, column 2: ...": the number means nothing to a person.
        if (const auto end = what.find("] "); what.starts_with('[') && end != std::string::npos) what.erase(0, end + 2);
        fault_ = contract::Fault{"", "found no valid JSON: " + what + ", allowed one document (RFC 8259)"};
        return false;
    }

    contract::Decoded<Tree> take() {
        contract::Decoded<Tree> result;
        if (fault_) {
            result.faults.push_back(*std::move(fault_));
        } else {
            result.value = std::move(root_);
        }
        return result;
    }

  private:
    Tree* put(Tree value) {
        if (open_.empty()) {
            root_ = std::move(value);
            return &root_;
        }
        Tree& parent = *open_.back();
        if (parent.is_array()) {
            parent.push_back(std::move(value));
            return &parent.back();
        }
        return &(parent[keys_.back()] = std::move(value));
    }

    bool open(Tree value) {
        if (open_.size() >= max_depth_) {
            return refuse("found nesting deeper than " + std::to_string(max_depth_) + " levels, allowed " +
                          std::to_string(max_depth_));
        }
        // Pointers stay good: a parent does not grow while one of its children is open.
        open_.push_back(put(std::move(value)));
        keys_.emplace_back();
        return true;
    }

    bool close() {
        open_.pop_back();
        keys_.pop_back();
        return true;
    }

    bool refuse(std::string message) {
        std::string pointer;
        for (std::size_t i = 0; i < open_.size(); ++i) {
            // In an array, the value at fault is the next one, unless an element of it is open.
            const bool inner = i + 1 < open_.size();
            if (open_[i]->is_array()) {
                pointer += "/" + std::to_string(open_[i]->size() - (inner ? 1 : 0));
            } else {
                pointer += "/" + pointer_token(keys_[i]);
            }
        }
        fault_ = contract::Fault{std::move(pointer), std::move(message)};
        return false;
    }

    unsigned max_depth_;
    Tree root_;
    std::vector<Tree*> open_;
    std::vector<std::string> keys_;  ///< of each open object, the key last read
    std::optional<contract::Fault> fault_;
};

}  // namespace

std::string pointer_token(std::string_view key) {
    std::string out;
    for (const char c : key) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out += c;
        }
    }
    return out;
}

contract::Decoded<nlohmann::json> parse_strict(std::string_view text, const Limits& limits) {
    contract::Decoded<Tree> result;
    if (text.size() > limits.bytes) {
        result.faults.push_back(
            {"", "found " + std::to_string(text.size()) + " bytes, allowed at most " + std::to_string(limits.bytes)});
        return result;
    }
    StrictBuilder builder(limits.depth);
    Tree::sax_parse(text.begin(), text.end(), &builder);
    return builder.take();
}

}  // namespace guideway::json
