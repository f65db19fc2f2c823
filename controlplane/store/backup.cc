#include "controlplane/store/backup.h"

#include <ctime>
#include <istream>
#include <memory>
#include <openssl/evp.h>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/json/object_reader.h"
#include "api/json/parse.h"
#include "api/json/writer.h"

namespace guideway::store::backup {
namespace {

class Sha256 {
  public:
    Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }
    void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
    std::string hex() {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned length = 0;
        EVP_DigestFinal_ex(context_.get(), digest, &length);
        constexpr const char* kDigits = "0123456789abcdef";
        std::string text;
        for (unsigned i = 0; i < length; ++i) {
            text.push_back(kDigits[digest[i] >> 4]);
            text.push_back(kDigits[digest[i] & 15]);
        }
        return text;
    }

  private:
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Well-formed UTF-8 (RFC 3629), which JSON needs: a writer that mends would change what it keeps.
bool is_utf8(std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const auto first = static_cast<unsigned char>(text[at]);
        std::size_t more = 0;
        unsigned char low = 0x80;
        unsigned char high = 0xbf;
        if (first < 0x80) {
        } else if (first >= 0xc2 && first <= 0xdf) {
            more = 1;
        } else if (first >= 0xe0 && first <= 0xef) {
            more = 2;
            if (first == 0xe0) low = 0xa0;
            if (first == 0xed) high = 0x9f;
        } else if (first >= 0xf0 && first <= 0xf4) {
            more = 3;
            if (first == 0xf0) low = 0x90;
            if (first == 0xf4) high = 0x8f;
        } else {
            return false;
        }
        for (std::size_t i = 1; i <= more; ++i) {
            if (at + i >= text.size()) return false;
            const auto next = static_cast<unsigned char>(text[at + i]);
            if (next < low || next > high) return false;
            low = 0x80;
            high = 0xbf;
        }
        at += more + 1;
    }
    return true;
}

bool is_hex_digest(std::string_view text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

/// Lines of the stream, each counted; bounded.
class Lines {
  public:
    Lines(std::istream& stream, const Limits& limits) : stream_(stream), limits_(limits) {}
    std::uint64_t number() const { return number_; }

    /// The next line without its line feed; false at the end, or with error() set.
    bool next(std::string& line) {
        line.clear();
        ++number_;
        while (true) {
            const int byte = stream_.get();
            if (byte == std::istream::traits_type::eof()) break;
            if (++bytes_ > limits_.bytes)
                return refuse("the backup has more than " + std::to_string(limits_.bytes) + " bytes");
            if (byte == '\n') return true;
            if (line.size() == limits_.line_bytes) {
                return refuse("found more than " + std::to_string(limits_.line_bytes) + " bytes in one line");
            }
            line.push_back(static_cast<char>(byte));
        }
        if (stream_.bad()) return refuse("reading failed");
        if (!line.empty()) return refuse("the backup ends within this line");
        return false;
    }
    const std::string& error() const { return error_; }

  private:
    bool refuse(std::string why) {
        error_ = std::move(why);
        return false;
    }
    std::istream& stream_;
    const Limits& limits_;
    std::uint64_t number_ = 0;
    std::uint64_t bytes_ = 0;
    std::string error_;
};

class Decoder {
  public:
    Decoder(std::istream& stream, const Limits& limits) : limits_(limits), lines_(stream, limits) {}

    std::variant<Decoded, std::string> run() {
        if (!read_header() || !read_records() || !read_digest()) return "line " + std::to_string(line_) + ": " + why_;
        return std::move(decoded_);
    }

  private:
    bool refuse(std::string why) {
        why_ = std::move(why);
        return false;
    }

    /// One line as an object, read by `read`; strict as everywhere.
    template <class Read>
    bool object(const std::string& what, Read read) {
        const bool found = lines_.next(text_);
        line_ = lines_.number();
        if (!lines_.error().empty()) return refuse(lines_.error());
        if (!found) return refuse("the backup ends here, before " + what);
        const auto parsed = json::parse_strict(text_, {limits_.line_bytes, 2});
        if (!parsed.ok()) {
            const contract::Fault& fault = parsed.faults[0];
            return refuse("found no JSON that could be " + what + ": " +
                          (fault.field.empty() ? "" : "field " + fault.field + ": ") + fault.message);
        }
        std::vector<contract::Fault> faults;
        json::ObjectReader reader(*parsed.value, "", faults);
        read(reader);
        reader.finish();
        if (faults.empty()) return true;
        return refuse("field " + faults[0].field + ": " + faults[0].message);
    }

    bool read_header() {
        const std::string what = "the header of a backup ({\"format\":\"" + std::string(kFormat) + "\",...})";
        std::string format;
        std::uint64_t version = 0;
        const bool good = object(what, [&](json::ObjectReader& reader) {
            format = reader.required_string("format", {});
            version = reader.required_unsigned("formatVersion", 0, kLargestRevision);
            // Another version may have other fields: which version it is, is then the better answer.
            if (format != kFormat || version != kFormatVersion) {
                for (const char* rest : {"program", "created", "revision", "generation", "records"})
                    reader.ignore(rest);
                return;
            }
            decoded_.about.program = reader.required_string("program", json::length(1, 64));
            decoded_.about.created = reader.required_string("created", json::length(1, 64));
            decoded_.contents.revision = reader.required_unsigned("revision", 0, kLargestRevision);
            decoded_.contents.generation = reader.required_unsigned("generation", 0, kLargestRevision);
            records_ = reader.required_unsigned("records", 0, limits_.records);
        });
        if (!format.empty() && format != kFormat) {
            return refuse("found format " + json::ObjectReader::quoted(format) + ", allowed \"" + kFormat + "\"");
        }
        if (format == kFormat && version > kFormatVersion) {
            return refuse("found formatVersion " + std::to_string(version) +
                          ", written by a newer version; allowed up to " + std::to_string(kFormatVersion));
        }
        if (!good) return false;
        if (version != kFormatVersion) return refuse("found formatVersion " + std::to_string(version) + ", allowed 1");
        keep_digest();
        return true;
    }

    bool read_records() {
        for (std::uint64_t i = 0; i < records_; ++i) {
            const std::string what = "record " + std::to_string(i + 1) + " of " + std::to_string(records_);
            Record record;
            if (!object(what, [&](json::ObjectReader& reader) {
                    record.kind = reader.required_string("kind", json::length(1, kLongestKind));
                    record.key = reader.required_string("key", json::length(1, kLongestKey));
                    record.revision = reader.required_unsigned("revision", 0, decoded_.contents.revision);
                    record.document = reader.required_string("document", json::length(0, kLongestDocument));
                })) {
                return false;
            }
            std::vector<Record>& all = decoded_.contents.records;
            if (!all.empty() && std::tie(all.back().kind, all.back().key) >= std::tie(record.kind, record.key)) {
                return refuse("found " + record.kind + " " + json::ObjectReader::quoted(record.key) + " after " +
                              all.back().kind + " " + json::ObjectReader::quoted(all.back().key) +
                              ", allowed each once and sorted");
            }
            all.push_back(std::move(record));
            keep_digest();
        }
        return true;
    }

    bool read_digest() {
        const std::string computed = digest_.hex();
        std::string written;
        if (!object("the checksum ({\"sha256\":...}) after " + std::to_string(records_) + " records",
                    [&](json::ObjectReader& reader) {
                        written = reader.required_string(
                            "sha256", {64, 64, is_hex_digest, "64 hexadecimal digits in lower case"});
                    })) {
            return false;
        }
        if (written != computed) {
            return refuse("the checksum is " + written + ", but that of the lines before is " + computed +
                          ": the backup is damaged");
        }
        const bool more = lines_.next(text_);
        if (!more && lines_.error().empty()) return true;
        line_ = lines_.number();
        return refuse("found something after the checksum, allowed nothing");
    }

    void keep_digest() {
        digest_.add(text_);
        digest_.add("\n");
    }

    const Limits& limits_;
    Lines lines_;
    Sha256 digest_;
    std::uint64_t line_ = 0;
    std::uint64_t records_ = 0;
    std::string text_;
    std::string why_;
    Decoded decoded_;
};

}  // namespace

About about_now(std::chrono::system_clock::time_point now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    return {GUIDEWAY_VERSION, {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)}};
}

std::optional<std::string> encode(const Contents& contents, const About& about, const Sink& sink) {
    Sha256 digest;
    const auto give = [&](std::string line) {
        line.push_back('\n');
        digest.add(line);
        return sink(line);
    };
    const std::string no_room = "the backup could not be written";
    std::uint64_t records = 0;
    for (const Record& record : contents.records) {
        if (record.lease != kNoLease) continue;
        ++records;
        if (!is_utf8(record.kind) || !is_utf8(record.key) || !is_utf8(record.document)) {
            return "record " + record.kind + " " + json::ObjectReader::quoted(record.key) +
                   " holds bytes that are no UTF-8: it cannot stand in a backup";
        }
    }
    json::Writer header;
    header.begin_object().key("format").text(kFormat).key("formatVersion").number(kFormatVersion);
    header.key("program").text(about.program).key("created").text(about.created);
    header.key("revision").number(contents.revision).key("generation").number(contents.generation);
    header.key("records").number(records).end_object();
    if (!give(header.take())) return no_room;
    for (const Record& record : contents.records) {
        if (record.lease != kNoLease) continue;
        json::Writer line(record.document.size() + record.key.size() + 128);
        line.begin_object().key("kind").text(record.kind).key("key").text(record.key);
        line.key("revision").number(record.revision).key("document").text(record.document).end_object();
        if (!give(line.take())) return no_room;
    }
    json::Writer last;
    last.begin_object().key("sha256").text(digest.hex()).end_object();
    if (!sink(last.take() + "\n")) return no_room;
    return std::nullopt;
}

std::variant<Decoded, std::string> decode(std::istream& stream, const Limits& limits) {
    return Decoder(stream, limits).run();
}

}  // namespace guideway::store::backup
