#include "api/config/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <fstream>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include <libconfig.h++>

#include "api/config/prescan.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GUIDEWAY_ADDRESS_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define GUIDEWAY_ADDRESS_SANITIZER
#endif
#ifdef GUIDEWAY_ADDRESS_SANITIZER
// libconfig 1.5 leaks the last string of a text with a syntax error (its parser frees no look-ahead token). A leak report
// would end the tests and fuzzers of our own code; this is the sanitizer's hook, unused in other builds.
extern "C" __attribute__((weak)) const char* __lsan_default_suppressions() {  // NOLINT(bugprone-reserved-identifier)
    return "leak:libconfig\n";
}
#endif

namespace guideway::config {

using libconfig::Setting;

/// What is known of one opened group; lives as long as its Document.
struct SectionState {
    Document::Content* document = nullptr;
    const Setting* setting = nullptr;  ///< null: absent
    std::string path;
    std::set<std::string, std::less<>> known;

    const Setting* find(std::string_view key);
    std::string field(std::string_view key) const {
        return path.empty() ? std::string(key) : path + "." + std::string(key);
    }
    SectionState* open(const Setting* child, std::string child_path) const;
    void add(const Setting& where, std::string field_path, std::string message) const;
    void add_missing(std::string_view key, const std::string& allowed) const;
};

struct Document::Content {
    std::string file;
    libconfig::Config config;
    std::deque<SectionState> sections;  ///< front: the root. A deque: handles point into it.
    std::vector<Fault> faults;
};

namespace {

unsigned line_of(const Setting& setting) {
    return static_cast<unsigned>(std::max(0, static_cast<int>(setting.getSourceLine())));
}

/// In quotes, control characters made visible, long text cut.
std::string quoted(std::string_view text) {
    constexpr std::size_t kShown = 80;
    constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text.substr(0, kShown)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 0xf];
        } else {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
    }
    return out + (text.size() > kShown ? "...\"" : "\"");
}

std::string text_of(const Setting& setting) {
    const char* text = setting.c_str();
    return text == nullptr ? std::string() : std::string(text);
}

bool is_integer(const Setting& setting) {
    return setting.getType() == Setting::TypeInt || setting.getType() == Setting::TypeInt64;
}

std::int64_t integer_of(const Setting& setting) {
    if (setting.getType() == Setting::TypeInt) return static_cast<int>(setting);
    return static_cast<long long>(setting);
}

std::string found(const Setting& setting) {
    switch (setting.getType()) {
        case Setting::TypeInt:
        case Setting::TypeInt64:
            return "found " + std::to_string(integer_of(setting));
        case Setting::TypeFloat:
            return "found the decimal number " + std::to_string(static_cast<double>(setting));
        case Setting::TypeString:
            return "found " + quoted(text_of(setting));
        case Setting::TypeBoolean:
            return static_cast<bool>(setting) ? "found true" : "found false";
        case Setting::TypeGroup:
            return "found a group { }";
        case Setting::TypeArray:
            return "found an array [ ]";
        case Setting::TypeList:
            return "found a list ( )";
        case Setting::TypeNone:
            break;
    }
    return "found nothing";
}

std::string range_text(std::int64_t min, std::int64_t max) {
    if (min == std::numeric_limits<std::int64_t>::min() && max == std::numeric_limits<std::int64_t>::max()) {
        return "an integer";
    }
    return std::to_string(min) + ".." + std::to_string(max);
}

std::string count_text(std::size_t min, std::size_t max) {
    if (max >= 4096) return std::to_string(min) + " or more";
    return min == max ? std::to_string(min) : std::to_string(min) + ".." + std::to_string(max);
}

std::string element_field(const std::string& list, std::size_t index) {
    return list + "[" + std::to_string(index) + "]";
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// The known key an unknown one was probably meant to be; empty where none is near.
std::string nearest(std::string_view unknown, const std::set<std::string, std::less<>>& known) {
    std::string best;
    std::size_t best_distance = std::max<std::size_t>(2, unknown.size() / 3) + 1;
    if (unknown.size() > 64) return best;
    for (const std::string& key : known) {
        const std::size_t distance = edit_distance(unknown, key);
        if (distance < best_distance && distance < key.size()) {
            best_distance = distance;
            best = key;
        }
    }
    return best;
}

std::string known_keys(const std::set<std::string, std::less<>>& known) {
    std::string out;
    for (const std::string& key : known) out += (out.empty() ? "" : ", ") + key;
    return out.empty() ? "nothing" : out;
}

}  // namespace

std::string to_text(const Fault& fault) {
    std::string out = fault.file;
    if (fault.line > 0) out += ":" + std::to_string(fault.line);
    out += ": ";
    if (!fault.field.empty()) out += fault.field + ": ";
    return out + fault.message;
}

Allowed any_text() {
    return {[](std::string_view) { return true; }, "a string"};
}

Allowed nonempty_text() {
    return {[](std::string_view text) { return !text.empty(); }, "a string that is not empty"};
}

Allowed one_of(std::vector<std::string> values) {
    std::string description;
    for (const std::string& value : values) description += (description.empty() ? "\"" : ", \"") + value + "\"";
    return {[values = std::move(values)](std::string_view text) {
                return std::find(values.begin(), values.end(), text) != values.end();
            },
            std::move(description)};
}

Allowed matching(std::function<bool(std::string_view)> accepts, std::string description) {
    return {std::move(accepts), std::move(description)};
}

// ---------------------------------------------------------------------------------------------- SectionState

const Setting* SectionState::find(std::string_view key) {
    if (setting == nullptr) return nullptr;
    known.emplace(key);
    const std::string name(key);
    return setting->exists(name) ? &(*setting)[name.c_str()] : nullptr;
}

SectionState* SectionState::open(const Setting* child, std::string child_path) const {
    document->sections.push_back({document, child, std::move(child_path), {}});
    return &document->sections.back();
}

void SectionState::add(const Setting& where, std::string field_path, std::string message) const {
    document->faults.push_back({document->file, line_of(where), std::move(field_path), std::move(message)});
}

void SectionState::add_missing(std::string_view key, const std::string& allowed) const {
    if (setting != nullptr) add(*setting, field(key), "missing, allowed " + allowed);
}

// --------------------------------------------------------------------------------------------------- Section

bool Section::present() const { return state_->setting != nullptr; }

bool Section::has(std::string_view key) const { return state_->find(key) != nullptr; }

bool Section::is_list(std::string_view key) const {
    const Setting* setting = state_->find(key);
    return setting != nullptr && (setting->isArray() || setting->isList());
}

const std::string& Section::path() const { return state_->path; }

unsigned Section::line() const { return present() ? line_of(*state_->setting) : 0; }

std::optional<std::string> Section::optional_string(std::string_view key, const Allowed& allowed) {
    const Setting* setting = state_->find(key);
    if (setting == nullptr) return std::nullopt;
    if (setting->getType() == Setting::TypeString) {
        std::string text = text_of(*setting);
        if (allowed.accepts(text)) return text;
    }
    state_->add(*setting, state_->field(key), found(*setting) + ", allowed " + allowed.description);
    return std::nullopt;
}

std::string Section::string_or(std::string_view key, std::string fallback, const Allowed& allowed) {
    return optional_string(key, allowed).value_or(std::move(fallback));
}

std::string Section::required_string(std::string_view key, const Allowed& allowed) {
    if (state_->find(key) == nullptr) state_->add_missing(key, allowed.description);
    return optional_string(key, allowed).value_or("");
}

std::optional<std::int64_t> Section::optional_integer(std::string_view key, std::int64_t min, std::int64_t max) {
    const Setting* setting = state_->find(key);
    if (setting == nullptr) return std::nullopt;
    if (is_integer(*setting)) {
        const std::int64_t value = integer_of(*setting);
        if (value >= min && value <= max) return value;
    }
    state_->add(*setting, state_->field(key), found(*setting) + ", allowed " + range_text(min, max));
    return std::nullopt;
}

std::int64_t Section::integer_or(std::string_view key, std::int64_t fallback, std::int64_t min, std::int64_t max) {
    return optional_integer(key, min, max).value_or(fallback);
}

std::int64_t Section::required_integer(std::string_view key, std::int64_t min, std::int64_t max) {
    if (state_->find(key) == nullptr) state_->add_missing(key, range_text(min, max));
    return optional_integer(key, min, max).value_or(min);
}

std::optional<bool> Section::optional_boolean(std::string_view key) {
    const Setting* setting = state_->find(key);
    if (setting == nullptr) return std::nullopt;
    if (setting->getType() == Setting::TypeBoolean) return static_cast<bool>(*setting);
    state_->add(*setting, state_->field(key), found(*setting) + ", allowed true, false");
    return std::nullopt;
}

bool Section::boolean_or(std::string_view key, bool fallback) { return optional_boolean(key).value_or(fallback); }

bool Section::required_boolean(std::string_view key) {
    if (state_->find(key) == nullptr) state_->add_missing(key, "true, false");
    return optional_boolean(key).value_or(false);
}

namespace {

/// The elements of an array or list, or null with the fault recorded.
const Setting* sequence(SectionState& state, std::string_view key, const std::string& what, bool lists_only,
                        std::size_t min_count, std::size_t max_count) {
    const Setting* setting = state.find(key);
    if (setting == nullptr) {
        if (min_count > 0) state.add_missing(key, count_text(min_count, max_count) + " of " + what);
        return nullptr;
    }
    const bool right_type = setting->isList() || (setting->isArray() && (!lists_only || setting->getLength() == 0));
    if (!right_type) {
        state.add(*setting, state.field(key),
                  found(*setting) + ", allowed " + (lists_only ? "a list ( { ... }, { ... } )" : "a list of ") +
                      (lists_only ? "" : what));
        return nullptr;
    }
    const auto count = static_cast<std::size_t>(setting->getLength());
    if (count < min_count || count > max_count) {
        state.add(*setting, state.field(key),
                  "found " + std::to_string(count) + " elements, allowed " + count_text(min_count, max_count));
    }
    return count > max_count ? nullptr : setting;
}

}  // namespace

std::vector<std::string> Section::strings(std::string_view key, const Allowed& each, std::size_t min_count,
                                          std::size_t max_count) {
    std::vector<std::string> out;
    const Setting* list = sequence(*state_, key, "strings", false, min_count, max_count);
    if (list == nullptr) return out;
    for (int i = 0; i < list->getLength(); ++i) {
        const Setting& element = (*list)[i];
        if (element.getType() == Setting::TypeString && each.accepts(text_of(element))) {
            out.push_back(text_of(element));
        } else {
            state_->add(element, element_field(state_->field(key), static_cast<std::size_t>(i)),
                        found(element) + ", allowed " + each.description);
        }
    }
    return out;
}

std::vector<std::int64_t> Section::integers(std::string_view key, std::int64_t min, std::int64_t max,
                                            std::size_t min_count, std::size_t max_count) {
    std::vector<std::int64_t> out;
    const Setting* list = sequence(*state_, key, "integers", false, min_count, max_count);
    if (list == nullptr) return out;
    for (int i = 0; i < list->getLength(); ++i) {
        const Setting& element = (*list)[i];
        const bool good = is_integer(element) && integer_of(element) >= min && integer_of(element) <= max;
        if (good) {
            out.push_back(integer_of(element));
        } else {
            state_->add(element, element_field(state_->field(key), static_cast<std::size_t>(i)),
                        found(element) + ", allowed " + range_text(min, max));
        }
    }
    return out;
}

Section Section::optional_group(std::string_view key) {
    const Setting* setting = state_->find(key);
    if (setting != nullptr && !setting->isGroup()) {
        state_->add(*setting, state_->field(key), found(*setting) + ", allowed a group { ... }");
        setting = nullptr;
    }
    return Section(state_->open(setting, state_->field(key)));
}

Section Section::required_group(std::string_view key) {
    if (state_->find(key) == nullptr) state_->add_missing(key, "a group { ... }");
    return optional_group(key);
}

std::vector<Section> Section::groups(std::string_view key, std::size_t min_count, std::size_t max_count) {
    std::vector<Section> out;
    const Setting* list = sequence(*state_, key, "groups { ... }", true, min_count, max_count);
    if (list == nullptr) return out;
    for (int i = 0; i < list->getLength(); ++i) {
        const Setting& element = (*list)[i];
        const std::string where = element_field(state_->field(key), static_cast<std::size_t>(i));
        if (element.isGroup()) {
            out.push_back(Section(state_->open(&element, where)));
        } else {
            state_->add(element, where, found(element) + ", allowed a group { ... }");
        }
    }
    return out;
}

void Section::ignore(std::string_view key) { state_->find(key); }

void Section::fault(std::string_view key, std::string message) {
    const Setting* setting = state_->find(key);
    if (setting == nullptr) setting = state_->setting;
    if (setting != nullptr) state_->add(*setting, state_->field(key), std::move(message));
}

void Section::fault(std::string_view key, std::size_t index, std::string message) {
    const Setting* setting = state_->find(key);
    if (setting == nullptr || !setting->isAggregate() || index >= static_cast<std::size_t>(setting->getLength())) {
        return fault(key, std::move(message));
    }
    state_->add((*setting)[static_cast<int>(index)], element_field(state_->field(key), index), std::move(message));
}

// -------------------------------------------------------------------------------------------------- Document

Document::Document(std::unique_ptr<Content> content) : content_(std::move(content)) {}
Document::Document(Document&&) noexcept = default;
Document& Document::operator=(Document&&) noexcept = default;
Document::~Document() = default;

Document Document::from_text(std::string_view text, std::string name) {
    auto content = std::make_unique<Content>();
    content->file = std::move(name);
    const auto refuse = [&content](unsigned line, std::string message) {
        content->faults.push_back({content->file, line, "", std::move(message)});
    };
    if (text.size() > kMaxFileBytes) {
        refuse(0,
               "found more than " + std::to_string(kMaxFileBytes) + " bytes, allowed " + std::to_string(kMaxFileBytes));
    } else {
        for (PrescanFault& fault : prescan(text)) refuse(fault.line, std::move(fault.message));
    }
    const Setting* root = nullptr;
    if (content->faults.empty()) {
        try {
            content->config.readString(std::string(text));
            root = &content->config.getRoot();
        } catch (const libconfig::ParseException& error) {
            refuse(static_cast<unsigned>(std::max(0, error.getLine())), error.getError());
        } catch (const libconfig::ConfigException& error) {
            refuse(0, error.what());
        }
    }
    content->sections.push_back({content.get(), root, "", {}});
    return Document(std::move(content));
}

Document Document::from_file(const std::string& path) {
    std::string text;
    std::string failure;
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    if (stream) {
        text.resize(kMaxFileBytes + 1);
        stream.read(text.data(), static_cast<std::streamsize>(text.size()));
        text.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, stream.gcount())));
        // A directory opens and then fails to read.
        if (stream.bad()) failure = "cannot be read: " + std::system_category().message(errno);
    } else {
        failure = "cannot be opened: " + std::system_category().message(errno);
    }
    Document document = from_text(failure.empty() ? std::string_view(text) : std::string_view(), path);
    if (!failure.empty()) {
        document.content_->sections.front().setting = nullptr;
        document.content_->faults.push_back({path, 0, "", std::move(failure)});
    }
    return document;
}

Section Document::root() { return Section(&content_->sections.front()); }

void Document::finish() {
    for (const SectionState& section : content_->sections) {
        if (section.setting == nullptr) continue;
        for (int i = 0; i < section.setting->getLength(); ++i) {
            const Setting& child = (*section.setting)[i];
            const std::string name = child.getName() == nullptr ? "" : child.getName();
            if (section.known.contains(name)) continue;
            const std::string near = nearest(name, section.known);
            section.add(child, section.field(name),
                        near.empty() ? "unknown key, allowed " + known_keys(section.known)
                                     : "unknown key, did you mean " + near + "?");
        }
    }
}

bool Document::ok() const { return content_->faults.empty(); }

std::vector<Fault> Document::faults() const {
    std::vector<Fault> sorted = content_->faults;
    std::stable_sort(sorted.begin(), sorted.end(), [](const Fault& a, const Fault& b) { return a.line < b.line; });
    return sorted;
}

std::string Document::report() const {
    std::string out;
    for (const Fault& fault : faults()) out += to_text(fault) + "\n";
    return out;
}

}  // namespace guideway::config
