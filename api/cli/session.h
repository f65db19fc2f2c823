// Session: one run of the command against one server: who is asking, how answers are printed, which exit code a problem has.
// The groups of commands (read, change, token, system) are functions over it.
// Thread contract: one thread.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "api/cli/cli.h"
#include "api/cli/kinds.h"
#include "api/cli/options.h"
#include "api/client/client.h"
#include "api/resources/problem.h"

namespace guideway::cli {

class Session {
  public:
    Session(const CliOptions& options, Streams streams);

    const CliOptions& options;
    Streams streams;
    client::Client client;

    std::ostream& out() const { return streams.out; }
    std::ostream& err() const { return streams.err; }

    /// Tells the problem and what to do; the exit code.
    int failed(const resources::Problem& problem) const;
    /// "guideway: TEXT"; kUsage.
    int misused(const std::string& text) const;
    /// "guideway: OPTION: found ..., allowed ..."; kUsage.
    int wrong(const std::string& option, const std::string& found, const std::string& allowed) const;

    bool wants_data() const { return options.output == "json" || options.output == "yaml"; }
    /// Prints as -o json or -o yaml wants it. False: it is to be shown to a person.
    bool print_data(const std::string& json) const;
    /// One document each, or one "List" of them.
    bool print_data(const std::vector<std::string>& documents) const;
    /// The body of a GET, as data.
    int print_raw(const std::string& path);

    client::Selection selection() const;
    /// The namespace of what names none.
    std::string default_namespace() const { return options.ns.empty() ? "default" : options.ns; }

    /// The kind and name that were typed ("lb web", "lb/default/web"); where they are none of `allowed`, says so and returns false.
    bool read_target(const std::vector<Kind>& allowed, bool name_required);
    Kind kind = Kind::load_balancer;
    bool named = false;
    client::ObjectName name;
};

/// The text of a file, or of standard input ("-"). False: told why not; `wanted` says what to give.
bool read_text(const Session& session, const std::string& file, std::string& text,
               const char* wanted = "-f a file, or - for standard input");

/// "90s", "15m", "12h", "90d", "2w" in seconds; nothing: none of these, or none at all.
std::optional<std::uint64_t> parse_duration(std::string_view text);

}  // namespace guideway::cli
