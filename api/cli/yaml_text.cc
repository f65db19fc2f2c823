#include "api/cli/yaml_text.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <sstream>
#include <utility>

#include <nlohmann/json.hpp>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include "api/json/parse.h"

namespace guideway::cli {

namespace {

using Tree = nlohmann::ordered_json;

constexpr std::size_t kMaxFileBytes = 16U << 20;
constexpr std::size_t kMaxValues = 100000;
constexpr unsigned kMaxDepth = 32;

struct Refused {
    std::string message;
};

/// What a plain scalar means; nothing: a text.
std::optional<Tree> scalar_of(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Tree();
    if (text == "true" || text == "True" || text == "TRUE") return Tree(true);
    if (text == "false" || text == "False" || text == "FALSE") return Tree(false);
    const char* begin = text.data();
    const char* end = begin + text.size();
    const std::size_t digits = text[0] == '-' ? 1 : 0;
    // 010 is 8 to some readers and 10 to others: a text, which the codec refuses where a number belongs.
    if (text.size() > digits + 1 && text[digits] == '0' && text[digits + 1] != '.') return std::nullopt;
    if (text.find_first_not_of("0123456789", digits) == std::string::npos && text.size() > digits) {
        if (std::uint64_t value = 0; std::from_chars(begin, end, value).ptr == end) return Tree(value);
        if (std::int64_t value = 0; std::from_chars(begin, end, value).ptr == end) return Tree(value);
    }
    if (text.find_first_not_of("0123456789+-.eE") == std::string::npos &&
        text.find_first_of("0123456789") != std::string::npos) {
        double value = 0;
        if (const auto result = std::from_chars(begin, end, value); result.ec == std::errc{} && result.ptr == end) {
            return Tree(value);
        }
    }
    return std::nullopt;
}

std::string line_of(const YAML::Node& node) { return "line " + std::to_string(node.Mark().line + 1) + ": "; }

class YamlReader {
  public:
    Tree convert(const YAML::Node& node, unsigned depth = 0) {
        if (depth > kMaxDepth) {
            throw Refused{line_of(node) + "found nesting deeper than " + std::to_string(kMaxDepth) + " levels"};
        }
        if (++values_ > kMaxValues) {
            throw Refused{"found more than " + std::to_string(kMaxValues) + " values (aliases count each time)"};
        }
        switch (node.Type()) {
            case YAML::NodeType::Scalar:
                return scalar(node);
            case YAML::NodeType::Sequence: {
                Tree out = Tree::array();
                for (const YAML::Node& item : node) out.push_back(convert(item, depth + 1));
                return out;
            }
            case YAML::NodeType::Map:
                return map(node, depth);
            default:
                return Tree();
        }
    }

  private:
    static Tree scalar(const YAML::Node& node) {
        // "!" is what the parser calls a quoted scalar.
        if (node.Tag() == "!") return Tree(node.Scalar());
        if (node.Tag() != "?" && !node.Tag().empty() && node.Tag() != "tag:yaml.org,2002:str") {
            throw Refused{line_of(node) + "found the tag " + node.Tag() + ", allowed none"};
        }
        if (node.Tag() == "tag:yaml.org,2002:str") return Tree(node.Scalar());
        return scalar_of(node.Scalar()).value_or(Tree(node.Scalar()));
    }

    Tree map(const YAML::Node& node, unsigned depth) {
        Tree out = Tree::object();
        for (const auto& member : node) {
            if (!member.first.IsScalar()) throw Refused{line_of(node) + "found a key that is no text"};
            const std::string& key = member.first.Scalar();
            if (out.contains(key))
                throw Refused{line_of(member.first) + "found the key \"" + key + "\" twice, allowed once"};
            out[key] = convert(member.second, depth + 1);
        }
        return out;
    }

    std::size_t values_ = 0;
};

/// Goes through the documents once and keeps nothing of them. yaml-cpp does not take a ',' off that stands where a document begins, and
/// would make documents of it until the memory is used up (YAML::LoadAll(",")).
class DocumentsEnd final : public YAML::EventHandler {
  public:
    static void require(const std::string& text) {
        std::istringstream input(text);
        YAML::Parser parser(input);
        DocumentsEnd end;
        while (parser.HandleNextDocument(end)) {
        }
    }
    void OnDocumentStart(const YAML::Mark& mark) override {
        if (mark.pos <= last_) throw YAML::ParserException(mark, "a document cannot begin so");
        last_ = mark.pos;
    }
    void OnDocumentEnd() override {}
    void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
    void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
    void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
    void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
    void OnMapEnd() override {}

  private:
    int last_ = -1;
};

/// JSON goes past the YAML reader, which knows less of escapes.
std::optional<Tree> as_json(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos || text[first] != '{') return std::nullopt;
    if (!json::parse_strict(text, {kMaxFileBytes, kMaxDepth}).ok()) return std::nullopt;
    return Tree::parse(text);
}

/// True where the text can stand plain and be read back as the same text by any YAML reader.
bool is_plain(const std::string& text) {
    if (text.empty() || scalar_of(text)) return false;
    const char first = text.front();
    if (!((first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || first == '/')) return false;
    for (const std::string_view word : {"y", "n", "yes", "no", "on", "off"}) {
        if (text.size() == word.size() &&
            std::equal(text.begin(), text.end(), word.begin(), [](char a, char b) { return (a | 0x20) == b; })) {
            return false;
        }
    }
    for (const char c : text) {
        const bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '_' || c == '.' || c == '/';
        if (!safe) return false;
    }
    return true;
}

void emit(YAML::Emitter& out, const Tree& tree) {
    if (tree.is_object()) {
        if (tree.empty()) out << YAML::Flow;
        out << YAML::BeginMap;
        for (const auto& [key, value] : tree.items()) {
            out << YAML::Key << key << YAML::Value;
            emit(out, value);
        }
        out << YAML::EndMap;
    } else if (tree.is_array()) {
        if (tree.empty()) out << YAML::Flow;
        out << YAML::BeginSeq;
        for (const Tree& value : tree) emit(out, value);
        out << YAML::EndSeq;
    } else if (tree.is_string()) {
        const auto& text = tree.get_ref<const std::string&>();
        if (!is_plain(text)) out << YAML::DoubleQuoted;
        out << text;
    } else {
        tree.is_null() ? out << YAML::Null : out << tree.dump();
    }
}

}  // namespace

void read_trees(std::string_view text, const TakeTree& take, const TakeError& error) {
    if (text.size() > kMaxFileBytes) {
        return error(
            "", "found " + std::to_string(text.size()) + " bytes, allowed at most " + std::to_string(kMaxFileBytes));
    }
    if (const auto tree = as_json(text)) return take("document 1", *tree);
    try {
        const std::string copy(text);
        DocumentsEnd::require(copy);
        std::size_t number = 0;
        for (const YAML::Node& node : YAML::LoadAll(copy)) {
            ++number;
            if (node.IsNull()) continue;  // what "---" at the end of a file leaves
            const std::string place = "document " + std::to_string(number);
            try {
                take(place, YamlReader().convert(node));
            } catch (const Refused& refused) {
                error(place, refused.message);
            }
        }
    } catch (const YAML::Exception& fault) {
        error("line " + std::to_string(fault.mark.line + 1), "found no valid YAML: " + fault.msg);
    }
}

std::string yaml_of(std::string_view json) {
    YAML::Emitter out;
    out.SetNullFormat(YAML::LowerNull);
    emit(out, Tree::parse(json));
    return std::string(out.c_str()) + "\n";
}

}  // namespace guideway::cli
