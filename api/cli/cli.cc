#include "api/cli/cli.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <istream>
#include <iterator>
#include <map>
#include <optional>
#include <ostream>
#include <set>
#include <system_error>
#include <thread>
#include <variant>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "api/cli/completion.h"
#include "api/cli/documents.h"
#include "api/cli/show.h"
#include "api/client/client.h"
#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/names.h"
#include "api/resources/status_codec.h"

namespace guideway::cli {

namespace {

using resources::Problem;

constexpr const char* kFooter = R"(Exit codes: 0 done; 1 refused or failed (status: not forwarding what is wanted);
2 wrong usage; 3 not found; 4 the server cannot be reached.

Examples:
  guideway apply -f web.yaml --wait        create or change what the file names, until it is in force
  guideway get lb -o wide                  load balancers, their addresses and state
  guideway describe lb default/web         one of them, with what stands in its way
  guideway explain --protocol tcp --source 192.0.2.10:40000 --destination 203.0.113.1:80
  source <(guideway completion bash)       completion for this shell)";

enum class Kind { load_balancer, address_pool, node };

const std::map<std::string, Kind>& kinds() {
    static const std::map<std::string, Kind> kKinds{{"load-balancers", Kind::load_balancer},
                                                    {"load-balancer", Kind::load_balancer},
                                                    {"lb", Kind::load_balancer},
                                                    {"address-pools", Kind::address_pool},
                                                    {"address-pool", Kind::address_pool},
                                                    {"pools", Kind::address_pool},
                                                    {"pool", Kind::address_pool},
                                                    {"nodes", Kind::node},
                                                    {"node", Kind::node}};
    return kKinds;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return text;
}

/// "192.0.2.10:40000" or "[2001:db8::1]:40000".
std::optional<std::pair<IpAddress, std::uint16_t>> parse_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view digits = text.substr(colon + 1);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    const auto address = IpAddress::parse(host);
    // An IPv6 address without brackets could swallow its port or lend it a part: it is not guessed at.
    if (!address || address->is_v4() == bracketed) return std::nullopt;
    unsigned port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || error != std::errc{} || end != digits.data() + digits.size() || port == 0 || port > 65535) {
        return std::nullopt;
    }
    return std::pair(*address, static_cast<std::uint16_t>(port));
}

struct Options {
    std::string server = "http://127.0.0.1:8870";
    std::string output = "table";
    std::string ns;
    std::string kind, name, file, wait, shell = "bash";
    std::string protocol = "tcp", source, destination;
    double interval = 2;
    bool once = false;
};

class Commands {
  public:
    Commands(const Options& options, Streams streams)
        : options_(options), streams_(streams), client_({.server = options.server}) {}

    int get() {
        if (!name_is_right(false)) return kUsage;
        if (options_.output == "json" || options_.output == "yaml") return raw(path());
        const bool wide = options_.output == "wide";
        switch (kinds().at(options_.kind)) {
            case Kind::load_balancer:
                return options_.name.empty() ? table(client_.load_balancers(options_.ns), wide)
                                             : table(one(client_.load_balancer(ns(), name())), wide);
            case Kind::address_pool:
                return options_.name.empty() ? table(client_.address_pools(), wide)
                                             : table(one(client_.address_pool(name())), wide);
            case Kind::node:
                break;
        }
        return options_.name.empty() ? table(client_.nodes(), wide) : table(one(client_.node(name())), wide);
    }

    int describe() {
        if (!name_is_right(true)) return kUsage;
        if (options_.output == "json" || options_.output == "yaml") return raw(path());
        const auto print = [&](const auto& result) {
            if (!result.ok()) return failed(result.problem());
            cli::describe(streams_.out, result.value());
            return static_cast<int>(kOk);
        };
        switch (kinds().at(options_.kind)) {
            case Kind::load_balancer:
                return print(client_.load_balancer(ns(), name()));
            case Kind::address_pool:
                return print(client_.address_pool(name()));
            case Kind::node:
                break;
        }
        return print(client_.node(name()));
    }

    int apply() {
        const std::optional<Documents> documents = read_file();
        if (!documents) return kFailed;
        const std::optional<std::chrono::seconds> wait = wait_time();
        if (!options_.wait.empty() && !wait) return kUsage;
        int code = kOk;
        for (const Document& document : documents->documents) {
            const int result = std::visit([this](const auto& object) { return apply_one(object); }, document);
            if (result == kUnreachable) return result;
            if (result != kOk) code = result;
        }
        if (code != kOk || !wait) return code;
        return wait_until_forwarding(*wait);
    }

    int remove() {
        if (options_.file.empty()) {
            if (!name_is_right(true)) return kUsage;
            return remove_one(kinds().at(options_.kind), ns(), name());
        }
        const std::optional<Documents> documents = read_file();
        if (!documents) return kFailed;
        int code = kOk;
        // Backwards: what was made last leans on what was made first.
        for (auto one = documents->documents.rbegin(); one != documents->documents.rend(); ++one) {
            const auto& metadata =
                std::visit([](const auto& object) -> const resources::Metadata& { return object.metadata; }, *one);
            const Kind kind = one->index() == 0   ? Kind::load_balancer
                              : one->index() == 1 ? Kind::address_pool
                                                  : Kind::node;
            const int result = remove_one(kind, metadata.namespace_, metadata.name);
            if (result == kUnreachable) return result;
            if (result != kOk && result != kNotFound) code = result;
        }
        return code;
    }

    int drain(bool wanted) {
        constexpr int kTries = 5;
        for (int i = 1;; ++i) {
            client::Result<resources::Node> node = client_.node(options_.name);
            if (!node.ok()) return failed(node.problem());
            if (node.value().spec.drain == wanted) {
                streams_.out << "node " << options_.name << (wanted ? " is draining already\n" : " is not draining\n");
                return kOk;
            }
            node.value().spec.drain = wanted;
            const auto put = client_.ensure(node.value(), node.value().metadata.resource_version);
            // Somebody else changed the node in between: their change is kept, ours is made on top of it.
            if (!put.ok() && put.problem().status == 412 && i < kTries) continue;
            if (!put.ok()) return failed(put.problem());
            streams_.out << "node " << options_.name
                         << (wanted ? " draining: no new connections, old ones go on\n"
                                    : " takes new connections again\n");
            return kOk;
        }
    }

    int explain() {
        const auto protocol = contract::parse_protocol(upper(options_.protocol));
        const auto source = parse_endpoint(options_.source);
        const auto destination = parse_endpoint(options_.destination);
        const auto wrong = [&](const char* option, const std::string& found, const std::string& allowed) {
            streams_.err << "guideway: " << option << ": found \"" << found << "\", allowed " << allowed << '\n';
            return static_cast<int>(kUsage);
        };
        const std::string endpoint =
            "ADDRESS:PORT, with an IPv6 address in brackets: 192.0.2.10:40000, [2001:db8::1]:40000";
        if (!protocol) return wrong("--protocol", options_.protocol, "tcp, udp or sctp");
        if (!source) return wrong("--source", options_.source, endpoint);
        if (!destination) return wrong("--destination", options_.destination, endpoint);
        if (source->first.family != destination->first.family) {
            return wrong("--destination", options_.destination, "an address of the source's family");
        }
        const contract::ExplainRequest request{*protocol, source->first, source->second, destination->first,
                                               destination->second};
        const auto answer = client_.explain(request);
        if (!answer.ok()) return failed(answer.problem());
        if (print_json(contract::encode(answer.value()))) return kOk;
        show_explain(streams_.out, request, answer.value());
        return kOk;
    }

    int status() {
        const auto status = client_.status();
        if (!status.ok()) return failed(status.problem());
        if (!print_json(resources::encode(status.value()))) show_status(streams_.out, status.value(), options_.server);
        return is_forwarding(status.value()) ? kOk : kFailed;
    }

    int top() {
        if (options_.output == "json" || options_.output == "yaml") return raw("/v1/counters");
        auto before = client_.counters();
        auto then = std::chrono::steady_clock::now();
        while (true) {
            if (!before.ok()) return failed(before.problem());
            std::this_thread::sleep_for(std::chrono::duration<double>(options_.interval));
            auto after = client_.counters();
            const auto now = std::chrono::steady_clock::now();
            if (!after.ok()) return failed(after.problem());
            // Home and clear, as top does; --once is for pipes and scripts.
            if (!options_.once) streams_.out << "\x1b[H\x1b[2J";
            show_rates(streams_.out, before.value(), after.value(), std::chrono::duration<double>(now - then).count());
            streams_.out.flush();
            if (options_.once || !streams_.out) return kOk;
            before = std::move(after);
            then = now;
        }
    }

  private:
    int failed(const Problem& problem) {
        show_problem(streams_.err, problem);
        if (problem.status == 404) return kNotFound;
        if (problem.reason == "Unreachable" || problem.reason == "Timeout") return kUnreachable;
        return problem.reason == "InvalidServer" ? kUsage : kFailed;
    }

    template <class T>
    static client::Result<std::vector<T>> one(client::Result<T> result) {
        if (!result.ok()) return result.problem();
        return std::vector<T>{std::move(result.value())};
    }

    template <class T>
    int table(const client::Result<std::vector<T>>& objects, bool wide) {
        if (!objects.ok()) return failed(objects.problem());
        if (objects.value().empty()) {
            streams_.err << "Nothing there yet. `guideway apply -f FILE` makes what a file describes.\n";
        } else {
            show_table(streams_.out, objects.value(), wide);
        }
        return kOk;
    }

    /// Prints as -o json or -o yaml wants it. False: it is to be shown to a person.
    bool print_json(const std::string& json) {
        if (options_.output == "json") {
            streams_.out << nlohmann::ordered_json::parse(json).dump(2) << '\n';
        } else if (options_.output == "yaml") {
            streams_.out << yaml_of(json);
        } else {
            return false;
        }
        return true;
    }

    int raw(const std::string& path) {
        const auto text = client_.get_text(path);
        if (!text.ok()) return failed(text.problem());
        if (!nlohmann::ordered_json::accept(text.value())) {
            return failed({0,
                           "UnexpectedAnswer",
                           options_.server + " answered something that is not JSON; is this a Guideway server?",
                           {}});
        }
        print_json(text.value());
        return kOk;
    }

    /// "default/web" carries its namespace along.
    std::string ns() const {
        const auto slash = options_.name.find('/');
        if (slash != std::string::npos) return options_.name.substr(0, slash);
        return options_.ns.empty() ? "default" : options_.ns;
    }
    std::string name() const {
        const auto slash = options_.name.find('/');
        return slash == std::string::npos ? options_.name : options_.name.substr(slash + 1);
    }

    bool name_is_right(bool required) {
        if (options_.kind.empty() || (required && options_.name.empty())) {
            streams_.err << "guideway: wanted a kind and a name, such as: load-balancer default/web (see --help)\n";
            return false;
        }
        if (!options_.ns.empty() && !resources::is_label(options_.ns)) {
            streams_.err << "guideway: -n: found \"" << options_.ns
                         << "\", allowed a namespace: lower-case letters, digits and '-'\n";
            return false;
        }
        if (options_.name.empty()) return true;
        const bool namespaced = kinds().at(options_.kind) == Kind::load_balancer;
        const bool names_both = options_.name.find('/') != std::string::npos;
        if (!resources::is_name(name()) || (namespaced && !resources::is_label(ns())) || (names_both && !namespaced)) {
            streams_.err << "guideway: found the name \"" << options_.name << "\", allowed "
                         << (namespaced ? "NAME or NAMESPACE/NAME" : "NAME")
                         << " of lower-case letters, digits, '-' and '.'\n";
            return false;
        }
        if (names_both && !options_.ns.empty() && options_.ns != ns()) {
            streams_.err << "guideway: found two namespaces, \"" << ns() << "\" and \"" << options_.ns
                         << "\", allowed one\n";
            return false;
        }
        return true;
    }

    std::string path() const {
        switch (kinds().at(options_.kind)) {
            case Kind::load_balancer:
                if (!options_.name.empty()) return "/v1/load-balancers/" + ns() + "/" + name();
                return "/v1/load-balancers" + (options_.ns.empty() ? "" : "?namespace=" + options_.ns);
            case Kind::address_pool:
                return "/v1/address-pools" + (options_.name.empty() ? "" : "/" + name());
            case Kind::node:
                break;
        }
        return "/v1/nodes" + (options_.name.empty() ? "" : "/" + name());
    }

    std::optional<Documents> read_file() {
        std::string text;
        if (options_.file == "-") {
            text.assign(std::istreambuf_iterator<char>(streams_.in), {});
        } else {
            // A folder opens as a file does and throws at the first read.
            std::error_code ignored;
            const bool folder = std::filesystem::is_directory(options_.file, ignored);
            std::ifstream file(options_.file, std::ios::binary);
            if (!folder) text.assign(std::istreambuf_iterator<char>(file), {});
            if (folder || !file) {
                streams_.err << "guideway: cannot read " << options_.file
                             << "; give -f a file, or - for standard input\n";
                return std::nullopt;
            }
        }
        Documents documents = read_documents(text, options_.file == "-" ? "standard input" : options_.file,
                                             options_.ns.empty() ? "default" : options_.ns);
        for (const std::string& error : documents.errors) streams_.err << "guideway: " << error << '\n';
        if (!documents.errors.empty()) {
            streams_.err << "guideway: nothing was changed\n";
            return std::nullopt;
        }
        return documents;
    }

    static std::string title(const resources::LoadBalancer& object) { return "load-balancer " + object.key(); }
    static std::string title(const resources::AddressPool& object) { return "address-pool " + object.metadata.name; }
    static std::string title(const resources::Node& object) { return "node " + object.metadata.name; }
    static std::string extra(const resources::LoadBalancer& object) { return " (" + outcome_text(object) + ")"; }
    static std::string extra(const resources::AddressPool&) { return {}; }
    static std::string extra(const resources::Node& object) { return object.spec.drain ? " (draining)" : ""; }

    client::Result<resources::LoadBalancer> current(const resources::LoadBalancer& object) {
        return client_.load_balancer(object.metadata.namespace_, object.metadata.name);
    }
    client::Result<resources::AddressPool> current(const resources::AddressPool& object) {
        return client_.address_pool(object.metadata.name);
    }
    client::Result<resources::Node> current(const resources::Node& object) {
        return client_.node(object.metadata.name);
    }

    template <class T>
    int apply_one(const T& object) {
        const auto before = current(object);
        if (!before.ok() && before.problem().status != 404) return failed(before.problem());
        const auto put = client_.ensure(object);
        if (!put.ok()) {
            streams_.err << title(object) << " refused\n";
            return failed(put.problem());
        }
        const T& now = put.value().object;
        const bool same = before.ok() && before.value().spec == now.spec &&
                          before.value().metadata.labels == now.metadata.labels &&
                          before.value().metadata.uid == now.metadata.uid;
        streams_.out << title(object)
                     << (put.value().created ? " created"
                         : same              ? " unchanged"
                                             : " configured")
                     << extra(now) << '\n';
        return kOk;
    }

    /// Deleting a pool takes away what it gave: nobody should learn that from their clients.
    static std::string after_deletion(const resources::AddressPool& pool) {
        const std::uint64_t used = pool.status.ipv4_allocated + pool.status.ipv6_allocated;
        if (used == 0) return {};
        return "; " + std::to_string(used) +
               (used == 1 ? " address of it was in use" : " addresses of it were in use") + ", see `guideway get lb`";
    }
    template <class T>
    static std::string after_deletion(const T&) {
        return {};
    }

    int remove_one(Kind kind, const std::string& ns, const std::string& name) {
        // The API's DELETE is idempotent; a person who mistyped a name wants to hear of it.
        const auto gone = [&](const auto& found, const std::string& title, auto erase) {
            if (!found.ok()) return failed(found.problem());
            const client::Result<bool> done = erase();
            if (!done.ok()) return failed(done.problem());
            streams_.out << title << " deleted" << after_deletion(found.value()) << '\n';
            return static_cast<int>(kOk);
        };
        switch (kind) {
            case Kind::load_balancer:
                return gone(client_.load_balancer(ns, name), "load-balancer " + ns + "/" + name,
                            [&] { return client_.delete_load_balancer(ns, name); });
            case Kind::address_pool:
                return gone(client_.address_pool(name), "address-pool " + name,
                            [&] { return client_.delete_address_pool(name); });
            case Kind::node:
                break;
        }
        return gone(client_.node(name), "node " + name, [&] { return client_.delete_node(name); });
    }

    std::optional<std::chrono::seconds> wait_time() {
        if (options_.wait.empty()) return std::nullopt;
        unsigned seconds = 0;
        const char* end = options_.wait.data() + options_.wait.size();
        const auto result = std::from_chars(options_.wait.data(), end, seconds);
        if (result.ec == std::errc{} && result.ptr == end && seconds >= 1 && seconds <= 60) {
            return std::chrono::seconds(seconds);
        }
        streams_.err << "guideway: --wait: found \"" << options_.wait << "\", allowed 1..60 (seconds)\n";
        return std::nullopt;
    }

    int wait_until_forwarding(std::chrono::seconds time) {
        const auto status = client_.status(time);
        if (!status.ok()) return failed(status.problem());
        if (is_forwarding(status.value())) {
            streams_.out << "in force (generation " << status.value().forwarding_generation << ")\n";
            return kOk;
        }
        streams_.err << "guideway: saved, but not in force after " << time.count() << " s: "
                     << (status.value().dataplane_error.empty() ? "the dataplane is not connected or behind"
                                                                : status.value().dataplane_error)
                     << "; see `guideway status`\n";
        return kFailed;
    }

    const Options& options_;
    Streams streams_;
    client::Client client_;
};

}  // namespace

int run(const std::vector<std::string>& arguments, Streams streams) {
    Options options;
    std::function<int(Commands&)> chosen;
    CLI::App app("Guideway: shows and changes what the load balancer does.", "guideway");
    app.footer(kFooter);
    app.require_subcommand(1);
    app.set_version_flag("--version", "guideway " GUIDEWAY_VERSION);
    app.add_option("--server", options.server, "where the control plane listens")
        ->envname("GUIDEWAY_SERVER")
        ->capture_default_str();
    app.add_option("-o,--output", options.output, "table and wide for people, json and yaml for programs")
        ->check(CLI::IsMember({"table", "wide", "json", "yaml"}))
        ->capture_default_str();
    app.add_option("-n,--namespace", options.ns, "of load balancers; get: all, the others: default");

    const auto command = [&](const char* name, const char* about, std::function<int(Commands&)> work) {
        CLI::App* sub = app.add_subcommand(name, about);
        sub->fallthrough();
        sub->callback([&chosen, work] { chosen = work; });
        return sub;
    };
    const auto kind_option = [&](CLI::App* sub) {
        std::set<std::string> names;
        for (const auto& [name, kind] : kinds()) names.insert(name);
        return sub->add_option("kind", options.kind, "load-balancers (lb), address-pools (pool) or nodes (node)")
            ->check(CLI::IsMember(names));
    };
    CLI::App* get = command("get", "list resources, or show one", &Commands::get);
    kind_option(get)->required();
    get->add_option("name", options.name, "NAME, or NAMESPACE/NAME");
    CLI::App* describe = command("describe", "one resource in full, with what stands in its way", &Commands::describe);
    kind_option(describe)->required();
    describe->add_option("name", options.name, "NAME, or NAMESPACE/NAME")->required();
    CLI::App* apply = command("apply", "create or change what a YAML or JSON file describes", &Commands::apply);
    apply->add_option("-f,--file", options.file, "the file, or - for standard input")->required();
    CLI::Option* wait =
        apply->add_option("--wait", options.wait, "until it is in force, at most so many seconds (30)")->expected(0, 1);
    CLI::App* remove = command("delete", "delete a resource, or what a file names", &Commands::remove);
    kind_option(remove);
    remove->add_option("name", options.name, "NAME, or NAMESPACE/NAME");
    remove->add_option("-f,--file", options.file, "the file, or - for standard input")->excludes("kind");
    CLI::App* drain = command("drain", "no new connections to a node; old ones go on",
                              [](Commands& commands) { return commands.drain(true); });
    drain->add_option("node", options.name, "the node's name")->required();
    CLI::App* undrain =
        command("undrain", "new connections to a node again", [](Commands& commands) { return commands.drain(false); });
    undrain->add_option("node", options.name, "the node's name")->required();
    CLI::App* explain = command("explain", "where a new connection would go, and why", &Commands::explain);
    explain->add_option("--protocol", options.protocol, "tcp, udp or sctp")->capture_default_str();
    explain->add_option("--source", options.source, "the client's ADDRESS:PORT ([v6]:port)")->required();
    explain->add_option("--destination", options.destination, "the VIP's ADDRESS:PORT ([v6]:port)")->required();
    command("status", "the appliance on one screen", &Commands::status);
    CLI::App* top = command("top", "rates by service and backend", &Commands::top);
    top->add_option("--interval", options.interval, "seconds between two readings")
        ->check(CLI::Range(0.05, 3600.0))
        ->capture_default_str();
    top->add_flag("--once", options.once, "one table, then end");
    CLI::App* completion = command("completion", "a script for the shell's completion", {});
    completion->add_option("shell", options.shell, "bash or zsh")->check(CLI::IsMember({"bash", "zsh"}))->required();

    try {
        std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
        app.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        const int code = app.exit(error, streams.out, streams.err);
        return code == 0 ? kOk : kUsage;
    }
    if (wait->count() > 0 && options.wait.empty()) options.wait = "30";
    if (completion->parsed()) {
        streams.out << completion_script(options.shell);
        return kOk;
    }
    Commands commands(options, streams);
    return chosen(commands);
}

}  // namespace guideway::cli
