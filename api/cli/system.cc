// status, explain, top.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "api/cli/commands.h"
#include "api/cli/documents.h"
#include "api/cli/show.h"
#include "api/client/dataplane_socket.h"
#include "api/contract/explain_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/status_codec.h"

namespace guideway::cli {

namespace {

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

/// The control plane, or with --socket the dataplane itself.
resources::Result<contract::ExplainAnswer> asked(Session& session, const contract::ExplainRequest& request) {
    if (session.options.socket.empty()) return session.client.explain(request);
    auto response = client::DataplaneSocket(session.options.socket).ask(request);
    if (!response.ok()) return response.problem();
    return response.value().answer.value_or(contract::ExplainAnswer{});
}

int explain_connection(Session& session) {
    const CliOptions& options = session.options;
    const auto protocol = contract::parse_protocol(upper(options.protocol));
    const auto source = parse_endpoint(options.source);
    const auto destination = parse_endpoint(options.destination);
    const std::string form = "ADDRESS:PORT, with an IPv6 address in brackets: 192.0.2.10:40000, [2001:db8::1]:40000";
    if (!protocol) return session.wrong("--protocol", options.protocol, "tcp, udp or sctp");
    if (!source) return session.wrong("--source", options.source, form);
    if (!destination) return session.wrong("--destination", options.destination, form);
    if (source->first.family != destination->first.family) {
        return session.wrong("--destination", options.destination, "an address of the source's family");
    }
    const contract::ExplainRequest request{*protocol, source->first, source->second, destination->first,
                                           destination->second};
    const auto answer = asked(session, request);
    if (!answer.ok()) return session.failed(answer.problem());
    if (session.print_data(contract::encode(answer.value()))) return kOk;
    show_explain(session.out(), request, answer.value());
    return kOk;
}

int preview(Session& session, const std::vector<resources::LoadBalancer>& wanted) {
    std::vector<std::string> documents;
    int code = kOk;
    for (const resources::LoadBalancer& one : wanted) {
        const auto preview = session.client.preview(one);
        if (!preview.ok()) return session.failed(preview.problem());
        if (preview.value().reason != "Allocated") code = kFailed;
        if (session.wants_data()) {
            documents.push_back(resources::encode(preview.value()));
        } else {
            show_preview(session.out(), "load-balancer " + one.key(), preview.value());
        }
    }
    if (!documents.empty()) session.print_data(documents);
    return code;
}

/// Of a file's load balancers, or of one that is there.
int explain_allocation(Session& session) {
    const CliOptions& options = session.options;
    if (options.file.empty() == options.name.empty()) {
        return session.misused("wanted -f FILE with a load balancer, or the NAMESPACE/NAME of one that is there");
    }
    std::vector<resources::LoadBalancer> wanted;
    if (options.file.empty()) {
        const NameOrError parsed = parse_name(Kind::load_balancer, options.name, options.cluster, options.ns);
        if (!parsed.error.empty()) return session.misused(parsed.error);
        auto object = session.client.get<resources::LoadBalancer>(parsed.name);
        if (!object.ok()) return session.failed(object.problem());
        wanted.push_back(std::move(object.value()));
        return preview(session, wanted);
    }
    std::string text;
    if (!read_text(session, options.file, text)) return kFailed;
    const std::string source = options.file == "-" ? "standard input" : options.file;
    Documents documents = read_documents(text, source, {session.default_namespace(), options.cluster});
    for (const std::string& error : documents.errors) session.err() << "guideway: " << error << '\n';
    if (!documents.errors.empty()) return kFailed;
    for (Document& document : documents.documents) {
        if (auto* one = std::get_if<resources::LoadBalancer>(&document)) wanted.push_back(std::move(*one));
    }
    if (!wanted.empty()) return preview(session, wanted);
    session.err() << "guideway: " << source << ": found no LoadBalancer; only those get addresses\n";
    return kFailed;
}

}  // namespace

int explain(Session& session) {
    return session.options.what == "allocation" ? explain_allocation(session) : explain_connection(session);
}

int status(Session& session) {
    const auto status = session.client.status();
    if (!status.ok()) return session.failed(status.problem());
    if (!session.print_data(resources::encode(status.value()))) {
        show_status(session.out(), status.value(), session.options.server);
        if (status.value().dataplane_connected) {
            if (const auto counters = session.client.counters(); counters.ok())
                show_bonds(session.out(), counters.value());
        }
    }
    return is_forwarding(status.value()) ? kOk : kFailed;
}

int top(Session& session) {
    const CliOptions& options = session.options;
    if (session.wants_data()) return session.print_raw("/v1/counters");
    auto before = session.client.counters();
    auto then = std::chrono::steady_clock::now();
    while (true) {
        if (!before.ok()) return session.failed(before.problem());
        std::this_thread::sleep_for(std::chrono::duration<double>(options.interval));
        auto after = session.client.counters();
        const auto now = std::chrono::steady_clock::now();
        if (!after.ok()) return session.failed(after.problem());
        // Home and clear, as top does; --once is for pipes and scripts.
        if (!options.once) session.out() << "\x1b[H\x1b[2J";
        show_rates(session.out(), before.value(), after.value(), std::chrono::duration<double>(now - then).count());
        session.out().flush();
        if (options.once || !session.out()) return kOk;
        before = std::move(after);
        then = now;
    }
}

}  // namespace guideway::cli
