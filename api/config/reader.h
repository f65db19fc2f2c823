// The strict configuration reader: libconfig syntax in, typed values and a list of faults out.
//
// Nothing here throws and nothing stops at the first mistake: each getter records what is wrong and returns a
// value that is safe to go on with, so an operator sees all mistakes of a file at once, one a line:
//
//     guideway.cfg:12: dataplane.ports[0].mtu: found 70000, allowed 1280..9000
//
// Terms. Document: one parsed file. Section: one group of it (`dataplane = { ... };`), a light handle that
// must not outlive its Document. An *absent* section (an optional group that is not there, or a file that
// could not be parsed) answers every getter with its default and records nothing. Field: the path of a value
// from the root of the file.
//
// Example:
//     config::Document document = config::Document::from_file("guideway.cfg");
//     config::Section dataplane = document.root().required_group("dataplane");
//     const std::string idle = dataplane.string_or("idle", "adaptive", config::one_of({"busy", "adaptive"}));
//     for (config::Section& port : dataplane.groups("ports", 1, 32)) {
//         const auto mtu = port.integer_or("mtu", 1500, 1280, 9000);
//     }
//     document.root().ignore("controlplane");  // read by another program
//     document.finish();                       // unknown keys, of every section that was opened
//     if (!document.ok()) { std::cerr << document.report(); return 1; }
//
// Thread contract: a Document and its Sections belong to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace guideway::config {

/// One mistake of the file.
struct Fault {
    std::string file;
    unsigned line = 0;    ///< from 1; 0: the file as a whole
    std::string field;    ///< "dataplane.ports[0].mtu"; empty: syntax, or the file as a whole
    std::string message;  ///< "found 70000, allowed 1280..9000"

    bool operator==(const Fault&) const = default;
};

/// "guideway.cfg:12: dataplane.ports[0].mtu: found 70000, allowed 1280..9000"; parts that are not known are
/// left out.
std::string to_text(const Fault& fault);

/// Which strings a field takes, with the words that tell a person.
struct Allowed {
    std::function<bool(std::string_view)> accepts;
    std::string description;  ///< goes after "allowed": "an IPv4 or IPv6 address"
};

Allowed any_text();       ///< anything, the empty string too
Allowed nonempty_text();  ///< at least one character
Allowed one_of(std::vector<std::string> values);
Allowed matching(std::function<bool(std::string_view)> accepts, std::string description);

inline constexpr std::size_t kMaxFileBytes = 1 << 20;
inline constexpr unsigned kMaxNesting = 16;

class Document;
struct SectionState;

/// One group of the file. Copies mean the same group.
class Section {
  public:
    /// False: not in the file; every getter then answers its default and records nothing.
    bool present() const;
    bool has(std::string_view key) const;
    /// Whether the key is there with several values (an array or a list), for keys that take one or more.
    bool is_list(std::string_view key) const;
    /// "dataplane.ports[0]"; empty for the root.
    const std::string& path() const;
    /// The line the group is on; 0 for the root.
    unsigned line() const;

    /// Missing or refused: a fault, and the empty string.
    std::string required_string(std::string_view key, const Allowed& allowed = nonempty_text());
    std::string string_or(std::string_view key, std::string fallback, const Allowed& allowed = any_text());
    std::optional<std::string> optional_string(std::string_view key, const Allowed& allowed = any_text());

    /// Bounds are inclusive. libconfig's 32-bit integers and its 64-bit ones (suffix L) are both taken.
    /// Missing or refused: a fault, and `min` (required) or the fallback.
    std::int64_t required_integer(std::string_view key, std::int64_t min, std::int64_t max);
    std::int64_t integer_or(std::string_view key, std::int64_t fallback, std::int64_t min, std::int64_t max);
    std::optional<std::int64_t> optional_integer(std::string_view key, std::int64_t min, std::int64_t max);

    bool required_boolean(std::string_view key);
    bool boolean_or(std::string_view key, bool fallback);
    std::optional<bool> optional_boolean(std::string_view key);

    /// An array ["a", "b"] or a list ("a", "b"). `min_count` > 0 makes the key required. Refused elements are
    /// left out.
    std::vector<std::string> strings(std::string_view key, const Allowed& each = nonempty_text(),
                                     std::size_t min_count = 0, std::size_t max_count = 4096);
    std::vector<std::int64_t> integers(std::string_view key, std::int64_t min, std::int64_t max,
                                       std::size_t min_count = 0, std::size_t max_count = 4096);

    /// `key = { ... };` Missing or of another type: an absent section (required: with a fault).
    Section required_group(std::string_view key);
    Section optional_group(std::string_view key);
    /// `key = ( { ... }, { ... } );` `min_count` > 0 makes the key required.
    std::vector<Section> groups(std::string_view key, std::size_t min_count = 0, std::size_t max_count = 4096);

    /// Known, but not read by this program.
    void ignore(std::string_view key);

    /// A fault of the caller's own finding, on a key's line: rules between fields, or a value that does not
    /// parse. `message` in the words of the others: "found \"10.0.0.1\", allowed ...".
    void fault(std::string_view key, std::string message);
    /// The same on element `index` of an array or list.
    void fault(std::string_view key, std::size_t index, std::string message);

  private:
    friend class Document;
    explicit Section(SectionState* state) : state_(state) {}

    SectionState* state_;
};

class Document {
  public:
    /// Reads at most kMaxFileBytes. `@include` is refused: one file holds the whole configuration, and no
    /// other file is read on its behalf.
    static Document from_file(const std::string& path);
    /// `name` stands for the file in faults.
    static Document from_text(std::string_view text, std::string name);

    Document(Document&&) noexcept;
    Document& operator=(Document&&) noexcept;
    ~Document();

    /// Absent where the file could not be read or parsed (which is a fault).
    Section root();
    /// Records a fault for each key that no getter asked for, in the root and every section opened beneath
    /// it, with the nearest known key where one is near. Call after all reading, once.
    void finish();

    bool ok() const;
    /// In the order of the file's lines.
    std::vector<Fault> faults() const;
    /// All faults, one a line, each ended by a newline.
    std::string report() const;

  private:
    friend class Section;
    friend struct SectionState;
    struct Content;
    explicit Document(std::unique_ptr<Content> content);

    std::unique_ptr<Content> content_;
};

}  // namespace guideway::config
