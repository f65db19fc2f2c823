#include "api/cli/session.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <system_error>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "api/cli/show.h"
#include "api/cli/yaml_text.h"
#include "api/client/server_url.h"
#include "api/client/token_file.h"
#include "api/resources/names.h"

namespace guideway::cli {

using resources::Problem;

namespace {

client::Milliseconds milliseconds(double seconds) {
    return client::Milliseconds(static_cast<client::Milliseconds::rep>(seconds * 1000));
}

client::Options client_options(const CliOptions& options) {
    client::Options out;
    out.server = options.server;
    out.token = options.token;
    out.token_file = options.token_file;
    out.token_origin = options.token_origin;
    out.ca_file = options.ca_file;
    out.client_certificate = options.client_certificate;
    out.client_key = options.client_key;
    out.server_name = options.server_name;
    out.deadline = milliseconds(options.timeout);
    out.retry_for = milliseconds(options.retry_for);
    // The appliance's own admin token is for this machine alone: it goes nowhere else unasked.
    const auto url = client::parse_server_url(options.server);
    if (out.token.empty() && out.token_file.empty() && url && url->is_loopback() &&
        ::access(client::kDefaultTokenFile, R_OK) == 0) {
        out.token_file = client::kDefaultTokenFile;
    }
    return out;
}

}  // namespace

Session::Session(const CliOptions& given, Streams wanted)
    : options(given), streams(wanted), client(client_options(given)) {}

int Session::failed(const Problem& problem) const {
    show_problem(err(), problem);
    if (problem.status == 401) {
        err()
            << "  Root on the appliance needs no option: the token is found in " << client::kDefaultTokenFile
            << ".\n  Elsewhere give --token-file FILE, GUIDEWAY_TOKEN_FILE or GUIDEWAY_TOKEN; an admin makes one with "
               "`guideway token create`.\n";
    } else if (problem.status == 403) {
        err()
            << "  Use a token of a role that may; an admin makes one with `guideway token create NAME --role ROLE`.\n";
    } else if (problem.status == 412) {
        err() << "  Somebody else changed it meanwhile; look at it and try again.\n";
    }
    if (problem.status == 404) return kNotFound;
    for (const char* reason : {"Unreachable", "Timeout", "ConnectionLost", "TlsFailed"}) {
        if (problem.status == 0 && problem.reason == reason) return kUnreachable;
    }
    for (const char* reason : {"InvalidServer", "InsecureServer", "InvalidToken", "TokenUnreadable"}) {
        if (problem.status == 0 && problem.reason == reason) return kUsage;
    }
    return kFailed;
}

int Session::misused(const std::string& text) const {
    err() << "guideway: " << text << '\n';
    return kUsage;
}

int Session::wrong(const std::string& option, const std::string& found, const std::string& allowed) const {
    return misused(option + ": found \"" + found + "\", allowed " + allowed);
}

bool Session::print_data(const std::string& json) const {
    if (options.output == "json") {
        out() << nlohmann::ordered_json::parse(json).dump(2) << '\n';
    } else if (options.output == "yaml") {
        out() << yaml_of(json);
    } else {
        return false;
    }
    return true;
}

bool Session::print_data(const std::vector<std::string>& documents) const {
    if (!wants_data()) return false;
    if (documents.size() == 1) return print_data(documents.front());
    nlohmann::ordered_json list{{"kind", "List"}, {"items", nlohmann::ordered_json::array()}};
    for (const std::string& one : documents) list["items"].push_back(nlohmann::ordered_json::parse(one));
    return print_data(list.dump());
}

int Session::print_raw(const std::string& path) {
    const auto text = client.get_text(path);
    if (!text.ok()) return failed(text.problem());
    if (!nlohmann::ordered_json::accept(text.value())) {
        return failed({0,
                       "UnexpectedAnswer",
                       options.server + " answered something that is not JSON; is this a Guideway server?",
                       {}});
    }
    print_data(text.value());
    return kOk;
}

client::Selection Session::selection() const {
    client::Selection out;
    out.cluster = options.cluster;
    out.namespace_ = options.everywhere ? std::string() : options.ns;
    out.labels = options.labels;
    return out;
}

bool Session::read_target(const std::vector<Kind>& allowed, bool name_required) {
    std::string kind_text = options.kind, name_text = options.name;
    // As -o name prints it.
    const auto slash = kind_text.find('/');
    if (slash != std::string::npos && name_text.empty()) {
        name_text = kind_text.substr(slash + 1);
        kind_text.resize(slash);
    }
    const auto found = parse_kind(kind_text);
    if (kind_text.empty() || (name_required && name_text.empty())) {
        misused("wanted a kind and a name, such as: load-balancer default/web (see --help)");
        return false;
    }
    if (!found || std::find(allowed.begin(), allowed.end(), *found) == allowed.end()) {
        misused("found the kind \"" + kind_text + "\", allowed " + kinds_text(allowed));
        return false;
    }
    kind = *found;
    named = !name_text.empty();
    for (const auto& [option, value] : {std::pair("-n", options.ns), std::pair("--cluster", options.cluster)}) {
        if (value.empty() || resources::is_label(value)) continue;
        wrong(option, value,
              std::string(option[1] == 'n' ? "a namespace" : "a cluster") + ": lower-case letters, digits and '-'");
        return false;
    }
    if (!named) return true;
    NameOrError parsed = parse_name(kind, name_text, options.cluster, options.ns);
    if (!parsed.error.empty()) {
        misused(parsed.error);
        return false;
    }
    name = std::move(parsed.name);
    return true;
}

bool read_text(const Session& session, const std::string& file, std::string& text, const char* wanted) {
    if (file == "-") {
        text.assign(std::istreambuf_iterator<char>(session.streams.in), {});
        return true;
    }
    // A folder opens as a file does and throws at the first read.
    std::error_code ignored;
    const bool folder = std::filesystem::is_directory(file, ignored);
    std::ifstream stream(file, std::ios::binary);
    if (!folder) text.assign(std::istreambuf_iterator<char>(stream), {});
    if (!folder && stream) return true;
    session.err() << "guideway: cannot read " << file << "; give " << wanted << '\n';
    return false;
}

std::optional<std::uint64_t> parse_duration(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end + 1 != text.data() + text.size() || number == 0) return std::nullopt;
    std::uint64_t unit = 0;
    switch (*end) {
        case 's':
            unit = 1;
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        case 'w':
            unit = 604800;
            break;
        default:
            return std::nullopt;
    }
    // A thousand years: what is longer is a slip of the finger.
    if (number > 31'536'000'000U / unit) return std::nullopt;
    return number * unit;
}

}  // namespace guideway::cli
