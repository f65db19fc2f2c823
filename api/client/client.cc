#include "api/client/client.h"

#include <algorithm>

#include "api/client/kind_codec.h"
#include "api/client/transport.h"
#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/bgp_status_codec.h"
#include "api/resources/maintenance_codec.h"
#include "api/resources/snat_address_codec.h"
#include "api/resources/status_codec.h"

namespace guideway::client {

using resources::Problem;

namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kBackupType = "application/x-ndjson";

Problem unreadable(const std::string& server, const std::vector<contract::Fault>& faults) {
    std::string detail = server + " answered something this version cannot read";
    if (!faults.empty()) detail += ": " + faults.front().field + " " + faults.front().message;
    return {0, "UnexpectedAnswer", detail + "; are client and server of the same version?", faults};
}

Result<Answer> succeeded(Transport& transport, const Request& request) {
    Result<Answer> answer = transport.ask(request);
    if (answer.ok() && !answer.value().ok()) return transport.problem_of(answer.value());
    return answer;
}

template <class T>
Result<T> decoded(const Transport& transport, const std::string& body, Reader<T> read) {
    auto value = read(body);
    if (!value.ok()) return unreadable(transport.options().server, value.faults);
    return *std::move(value.value);
}

template <class T>
Result<T> ask(Transport& transport, const Request& request, Reader<T> read) {
    const Result<Answer> answer = succeeded(transport, request);
    if (!answer.ok()) return answer.problem();
    return decoded(transport, answer.value().body, read);
}

Request get_of(std::string path) {
    Request request;
    request.path = std::move(path);
    return request;
}

std::string waiting(std::chrono::seconds time) { return std::to_string(std::clamp<long long>(time.count(), 1, 60)); }

/// "?wait=forwarding&timeout=10"
Query waiting_query(std::chrono::seconds time) {
    if (time.count() <= 0) return {};
    return {{"wait", "forwarding"}, {"timeout", waiting(time)}};
}

void set_condition(Request& request, const Condition& condition) {
    if (condition.version) {
        request.if_match = "\"" + std::to_string(*condition.version) + "\"";
    } else if (condition.must_exist) {
        request.if_match = "*";
    }
    if (condition.must_be_new) request.if_none_match = "*";
}

std::optional<bool> forwarding_of(const Answer& answer) {
    if (answer.forwarding.empty()) return std::nullopt;
    return answer.forwarding == "true";
}

template <class T>
bool is_as_wanted(const T& object, const T& wanted) {
    return object.spec == wanted.spec && object.metadata.labels == wanted.metadata.labels &&
           object.metadata.uid == wanted.metadata.uid;
}

/// What a lost answer of these means to a person.
const char* lost_words(bool makes_secret) {
    return makes_secret
               ? "; the token may have a secret now that nobody has seen: `guideway token rotate` shows a new one"
               : "; look at what is in force before trying again";
}

Problem with_lost_words(Problem problem, bool makes_secret) {
    if (problem.reason == "ConnectionLost" || problem.reason == "Timeout") problem.detail += lost_words(makes_secret);
    return problem;
}

}  // namespace

Client::Client(Options options) : transport_(std::make_unique<Transport>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

void Client::cancel() { transport_->cancel(); }
bool Client::cancelled() const { return transport_->cancelled(); }
bool Client::pause(Backoff& backoff) { return transport_->sleep(backoff.pause(transport_->random())); }
const Options& Client::options() const { return transport_->options(); }

template <class T>
Result<Put<T>> Client::ensure(const T& wanted, const Condition& condition) {
    // The secret is in the first answer alone: trying again would hide that it was lost.
    constexpr bool kShowsSecret = std::is_same_v<T, resources::Token>;
    const std::string path = object_path<T>(name_of(wanted));
    Request request;
    request.method = "PUT";
    request.path = path + query_text(waiting_query(condition.wait_forwarding));
    request.body = resources::encode(wanted);
    request.content_type = kJson;
    request.repeatable = !kShowsSecret;
    set_condition(request, condition);
    const Result<Answer> answer = transport_->ask(request);
    if (!answer.ok()) return kShowsSecret ? with_lost_words(answer.problem(), true) : answer.problem();
    if (answer.value().status == 412 && answer.value().after_lost) {
        Result<T> now = get<T>(name_of(wanted));
        if (now.ok() && is_as_wanted(now.value(), wanted)) {
            return Put<T>{std::move(now.value()), condition.must_be_new, std::nullopt};
        }
    }
    if (!answer.value().ok()) return transport_->problem_of(answer.value());
    Result<T> object = decoded(*transport_, answer.value().body, KindCodec<T>::read);
    if (!object.ok()) return object.problem();
    return Put<T>{std::move(object.value()), answer.value().status == 201, forwarding_of(answer.value())};
}

template <class T>
Result<T> Client::get(const ObjectName& name) {
    return ask(*transport_, get_of(object_path<T>(name)), KindCodec<T>::read);
}

template <class T>
Result<Deleted> Client::remove(const ObjectName& name, const Condition& condition, const std::string& uid) {
    Query query = waiting_query(condition.wait_forwarding);
    query.emplace_back("uid", uid);
    Request request;
    request.method = "DELETE";
    request.path = object_path<T>(name) + query_text(query);
    set_condition(request, condition);
    const Result<Answer> answer = transport_->ask(request);
    if (!answer.ok()) return answer.problem();
    if (answer.value().status == 412 && answer.value().after_lost) {
        const Result<T> now = get<T>(name);
        if (!now.ok() && now.problem().status == 404) return Deleted{};
    }
    if (!answer.value().ok() && answer.value().status != 404) return transport_->problem_of(answer.value());
    return Deleted{forwarding_of(answer.value())};
}

template <class T>
Result<resources::List<T>> Client::page(const Selection& selection, const PageRequest& request) {
    const Query query{{"limit", request.limit == 0 ? std::string() : std::to_string(request.limit)},
                      {"continue", request.after}};
    return ask(*transport_, get_of(list_path<T>(selection, query)), KindCodec<T>::page);
}

template <class T>
Result<resources::List<T>> Client::list(const Selection& selection, std::size_t page_size) {
    constexpr int kTries = 3;
    for (int i = 1;; ++i) {
        resources::List<T> all;
        std::string after;
        std::optional<Problem> problem;
        do {
            auto part = page<T>(selection, {page_size, after});
            if (!part.ok()) {
                problem = part.problem();
                break;
            }
            // A watch must begin where the first page stood: what changed between the pages comes once more.
            if (after.empty()) all.metadata = part.value().metadata;
            after = part.value().metadata.next_token;
            for (T& one : part.value().items) all.items.push_back(std::move(one));
        } while (!after.empty());
        if (!problem) {
            all.metadata.next_token.clear();
            all.metadata.remaining_item_count = 0;
            return all;
        }
        if (problem->status != 410 || i == kTries) return *std::move(problem);
    }
}

#define GUIDEWAY_LISTED(T)                                                                                           \
    template Result<resources::List<resources::T>> Client::page<resources::T>(const Selection&, const PageRequest&); \
    template Result<resources::List<resources::T>> Client::list<resources::T>(const Selection&, std::size_t);
#define GUIDEWAY_KEPT(T)                                                                                    \
    GUIDEWAY_LISTED(T)                                                                                      \
    template Result<Put<resources::T>> Client::ensure<resources::T>(const resources::T&, const Condition&); \
    template Result<resources::T> Client::get<resources::T>(const ObjectName&);                             \
    template Result<Deleted> Client::remove<resources::T>(const ObjectName&, const Condition&, const std::string&);
GUIDEWAY_KEPT(LoadBalancer)
GUIDEWAY_KEPT(AddressPool)
GUIDEWAY_KEPT(Node)
GUIDEWAY_KEPT(Token)
GUIDEWAY_LISTED(Event)
#undef GUIDEWAY_KEPT
#undef GUIDEWAY_LISTED

Result<resources::AllocationPreview> Client::preview(const resources::LoadBalancer& wanted) {
    Request request;
    request.method = "POST";
    request.path = object_path<resources::LoadBalancer>(name_of(wanted)) + "/preview";
    request.body = resources::encode(wanted);
    request.content_type = kJson;
    return ask(*transport_, request, resources::read_preview);
}

Result<resources::Token> Client::rotate_token(const std::string& name) {
    Request request;
    request.method = "POST";
    request.path = object_path<resources::Token>({{}, {}, name}) + "/rotate";
    request.repeatable = false;
    Result<resources::Token> token = ask(*transport_, request, resources::read_token);
    if (!token.ok()) return with_lost_words(token.problem(), true);
    return token;
}

Result<std::vector<resources::SnatAddress>> Client::snat_addresses() {
    return ask(*transport_, get_of("/v1/snat-addresses"), resources::read_snat_address_list);
}

Result<resources::SystemStatus> Client::status(std::chrono::seconds wait) {
    return ask(*transport_, get_of("/v1/status" + query_text(waiting_query(wait))), resources::read_status);
}

Result<contract::ExplainAnswer> Client::explain(const contract::ExplainRequest& request) {
    return ask(*transport_,
               get_of("/v1/explain" + query_text({{"protocol", std::string(contract::to_string(request.protocol))},
                                                  {"source", request.source.to_string()},
                                                  {"source_port", std::to_string(request.source_port)},
                                                  {"destination", request.destination.to_string()},
                                                  {"destination_port", std::to_string(request.destination_port)}})),
               contract::decode_explain_answer);
}

Result<contract::Counters> Client::counters() {
    return ask(*transport_, get_of("/v1/counters"), contract::decode_counters);
}

Result<resources::BgpStatus> Client::bgp() { return ask(*transport_, get_of("/v1/bgp"), resources::read_bgp_status); }

Result<resources::Maintenance> Client::maintenance() {
    return ask(*transport_, get_of("/v1/maintenance"), resources::read_maintenance);
}

Result<resources::Maintenance> Client::set_maintenance(bool on, const std::string& reason) {
    Request request;
    request.method = "PUT";
    request.path = "/v1/maintenance";
    resources::Maintenance wanted;
    wanted.on = on;
    wanted.reason = reason;
    request.body = resources::encode(wanted);
    request.content_type = kJson;
    return ask(*transport_, request, resources::read_maintenance);
}

Result<std::string> Client::metrics() {
    Request request = get_of("/metrics");
    request.accept = "text/plain";
    Result<Answer> answer = succeeded(*transport_, request);
    if (!answer.ok()) return answer.problem();
    return std::move(answer.value().body);
}

Result<std::uint64_t> Client::backup(const std::function<bool(std::string_view)>& sink) {
    std::uint64_t bytes = 0;
    Request request = get_of("/v1/backup");
    request.accept = "*/*";
    request.sink = [&](std::string_view piece) {
        bytes += piece.size();
        return sink(piece);
    };
    const Result<Answer> answer = succeeded(*transport_, request);
    if (!answer.ok()) return answer.problem();
    return bytes;
}

Result<resources::SystemStatus> Client::restore(const std::string& document, std::optional<std::uint64_t> version) {
    Request request;
    request.method = "PUT";
    request.path = "/v1/backup";
    request.body = document;
    request.content_type = kBackupType;
    request.if_match = version ? "\"" + std::to_string(*version) + "\"" : "*";
    request.repeatable = false;
    Result<resources::SystemStatus> status = ask(*transport_, request, resources::read_status);
    if (!status.ok()) return with_lost_words(status.problem(), false);
    return status;
}

Result<std::string> Client::get_text(const std::string& path) {
    Result<Answer> answer = succeeded(*transport_, get_of(path));
    if (!answer.ok()) return answer.problem();
    return std::move(answer.value().body);
}

}  // namespace guideway::client
