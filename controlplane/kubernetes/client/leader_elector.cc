#include "controlplane/kubernetes/client/leader_elector.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <random>
#include <stdexcept>
#include <unistd.h>
#include <utility>

#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/client/resource_path.h"

namespace guideway::kubernetes {

using TimePoint = std::chrono::steady_clock::time_point;

namespace {

/// How long the Lease's giving back may take, and a stop with it: less than a lease, which is what the next one waits for without it.
constexpr Milliseconds kReleaseDeadline{2000}, kLongestStop{3000};

/// MicroTime of the API: "2026-01-02T03:04:05.678901Z".
std::string micro_time() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
    const std::time_t seconds = static_cast<std::time_t>(micros / 1000000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 40> day{};
    std::strftime(day.data(), day.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    std::array<char, 16> fraction{};
    std::snprintf(fraction.data(), fraction.size(), ".%06uZ", static_cast<unsigned>(micros % 1000000));
    return std::string(day.data()) + fraction.data();
}

std::string text_in(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_in(const nlohmann::json& object, const char* name) {
    const auto found = object.find(name);
    return found != object.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

nlohmann::json spec_in(const nlohmann::json& lease) {
    const auto spec = lease.is_object() ? lease.find("spec") : lease.end();
    return lease.is_object() && spec != lease.end() && spec->is_object() ? *spec : nlohmann::json::object();
}

}  // namespace

std::string LeaderElector::check(const LeaderElectorOptions& options) {
    if (options.name.empty() || options.name_space.empty()) return "the lease needs a name and a namespace";
    if (options.lease_duration.count() < 1000 || options.lease_duration.count() % 1000 != 0) {
        return "lease duration: found " + std::to_string(options.lease_duration.count()) +
               " ms, allowed whole seconds, at least 1 s";
    }
    if (options.renew_deadline >= options.lease_duration) {
        return "renew deadline: found " + std::to_string(options.renew_deadline.count()) +
               " ms, allowed less than the lease duration of " + std::to_string(options.lease_duration.count()) + " ms";
    }
    if (options.retry_period.count() <= 0 || options.retry_period * 12 / 10 >= options.renew_deadline) {
        return "retry period: found " + std::to_string(options.retry_period.count()) +
               " ms, allowed more than 0 and, times 1.2, less than the renew deadline of " +
               std::to_string(options.renew_deadline.count()) + " ms";
    }
    return {};
}

std::string LeaderElector::make_identity() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    std::random_device random;
    std::array<char, 40> number{};
    std::snprintf(number.data(), number.size(), "_%08x%08x%08x%08x", random(), random(), random(), random());
    return std::string(host.data()) + number.data();
}

LeaderElector::LeaderElector(LeaderElectorOptions options, LeaderHandler handler)
    : options_([&] {
          if (const std::string why = check(options); !why.empty()) throw std::invalid_argument(why);
          if (options.identity.empty()) options.identity = make_identity();
          return std::move(options);
      }()),
      handler_(std::move(handler)),
      client_(options_.client) {}

TimePoint LeaderElector::now() const {
    if (options_.now) return options_.now();
    timespec time{};
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    return TimePoint(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

std::string LeaderElector::leader() const {
    const std::lock_guard lock(mutex_);
    return leader_;
}

void LeaderElector::start() {
    const std::lock_guard lock(start_mutex_);
    if (thread_.joinable()) return;
    ended_ = false;
    thread_ = std::thread([this] {
        run();
        ended_ = true;
    });
}

void LeaderElector::stop() {
    const std::lock_guard start_lock(start_mutex_);
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    woken_.notify_all();
    // The lease is given back by the thread itself; a server that does not answer must not hold the stop up for long.
    const auto patience = std::chrono::steady_clock::now() + kLongestStop;
    while (!ended_) {
        if (std::chrono::steady_clock::now() > patience) client_.cancel();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    thread_.join();
}

void LeaderElector::run() {
    const auto stopping = [this] {
        const std::lock_guard lock(mutex_);
        return stopping_;
    };
    while (!stopping()) {
        attempt();
        end_if_over();
        // Leaders at an even pace; the others spread, so that they do not reach out together.
        const double jitter = leading_ ? 1.0 : 1.0 + 0.2 * client_.random();
        auto pause =
            Milliseconds(static_cast<Milliseconds::rep>(static_cast<double>(options_.retry_period.count()) * jitter));
        if (leading_) {
            // Not later than the lead ends: on_stopped is told in time.
            const auto left =
                std::chrono::ceil<Milliseconds>(TimePoint(std::chrono::nanoseconds(leads_until_.load())) - now());
            pause = std::clamp(left, Milliseconds(1), pause);
        }
        std::unique_lock lock(mutex_);
        woken_.wait_for(lock, pause, [this] { return stopping_; });
        lock.unlock();
        end_if_over();
    }
    release();
}

Milliseconds LeaderElector::call_deadline() const {
    const auto left =
        std::chrono::duration_cast<Milliseconds>(TimePoint(std::chrono::nanoseconds(leads_until_.load())) - now());
    return leading_ ? std::clamp(left, Milliseconds(1), options_.renew_deadline) : options_.renew_deadline;
}

void LeaderElector::attempt() {
    const std::string path = kLeases.object(options_.name_space, options_.name);
    // A leader that knows the lease writes at once: one call a renewal. A conflict makes it read.
    if (leading_ && lease_) {
        const TimePoint sent_at = now();
        nlohmann::json lease = *lease_;
        const nlohmann::json spec = spec_in(lease);
        lease["spec"] = spec_of(number_in(spec, "leaseTransitions"), text_in(spec, "acquireTime"));
        if (write(std::move(lease), false, sent_at)) return;
    }
    const TimePoint read_at = now();
    auto read =
        client_.request({.verb = Verb::get, .path = path, .deadline = call_deadline(), .retry_for = Milliseconds(0)});
    if (!read.ok()) {
        if (!read.error().not_found()) return report(read.error());
        if (leading_) stop_leading();  // somebody deleted it: whoever makes it anew leads
        nlohmann::json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                                {"kind", "Lease"},
                                {"metadata", {{"namespace", options_.name_space}, {"name", options_.name}}},
                                {"spec", spec_of(0, micro_time())}};
        write(std::move(lease), true, read_at);
        return;
    }
    observe(read.value());
    const nlohmann::json spec = spec_in(read.value());
    const bool ours = observed_.holder == options_.identity;
    const bool expired = now() >= observed_.at + std::chrono::seconds(observed_.duration_seconds);
    if (!ours && !observed_.holder.empty() && !expired) {
        if (leading_) stop_leading();
        return;
    }
    nlohmann::json lease = read.value();
    const std::string acquired = ours ? text_in(spec, "acquireTime") : micro_time();
    lease["spec"] = spec_of(number_in(spec, "leaseTransitions") + (ours ? 0 : 1), acquired);
    write(std::move(lease), false, now());
}

void LeaderElector::observe(const nlohmann::json& lease) {
    const nlohmann::json spec = spec_in(lease);
    const std::string text = spec.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    const auto meta = lease.find("metadata");
    observed_.resource_version = meta != lease.end() && meta->is_object() ? text_in(*meta, "resourceVersion") : "";
    if (observed_.at == TimePoint{} || text != observed_.spec) {
        observed_.spec = text;
        observed_.at = now();
        observed_.holder = text_in(spec, "holderIdentity");
        // A holder that tells none is given ours: nobody is overrun for want of a number.
        const std::int64_t told = number_in(spec, "leaseDurationSeconds");
        observed_.duration_seconds = told > 0 ? told : options_.lease_duration.count() / 1000;
    }
    lease_ = lease;
    note_leader(observed_.holder);
}

bool LeaderElector::write(nlohmann::json lease, bool create, TimePoint sent_at) {
    // Once each: a renewal that is late is no renewal, and the next comes soon.
    ApiRequest request;
    request.verb = create ? Verb::create : Verb::update;
    request.path =
        create ? kLeases.collection(options_.name_space) : kLeases.object(options_.name_space, options_.name);
    request.body = std::move(lease);
    request.deadline = call_deadline();
    request.retry_for = Milliseconds(0);
    request.repeatable = false;  // twice is a conflict with ourselves
    auto written = client_.request(request);
    if (!written.ok()) {
        lease_.reset();
        const ApiError& error = written.error();
        if (!error.conflict() && !error.already_exists()) report(error);
        return false;
    }
    observe(written.value());
    if (observed_.holder != options_.identity) return false;
    ++renewals_;
    leads_until_ = std::chrono::nanoseconds((sent_at + options_.renew_deadline).time_since_epoch()).count();
    if (!is_leader()) return true;  // the answer came too late
    if (!std::exchange(leading_, true)) {
        ++transitions_;
        if (handler_.on_started) handler_.on_started();
    }
    return true;
}

nlohmann::json LeaderElector::spec_of(std::int64_t transitions, const std::string& acquire_time) const {
    return {{"holderIdentity", options_.identity},
            {"leaseDurationSeconds", options_.lease_duration.count() / 1000},
            {"acquireTime", acquire_time.empty() ? micro_time() : acquire_time},
            {"renewTime", micro_time()},
            {"leaseTransitions", transitions}};
}

void LeaderElector::release() {
    const bool held = leading_ && is_leader();
    // First of all nothing is done as the leader any more; then others may.
    if (leading_) stop_leading();
    if (!held || !options_.release_on_stop || !lease_) return;
    nlohmann::json lease = *lease_;
    const nlohmann::json spec = spec_in(lease);
    const std::string time = micro_time();
    lease["spec"] = {{"holderIdentity", ""},
                     {"leaseDurationSeconds", 1},
                     {"acquireTime", time},
                     {"renewTime", time},
                     {"leaseTransitions", number_in(spec, "leaseTransitions")}};
    auto released = client_.request({.verb = Verb::update,
                                     .path = kLeases.object(options_.name_space, options_.name),
                                     .body = std::move(lease),
                                     .deadline = kReleaseDeadline,
                                     .retry_for = Milliseconds(0)});
    if (!released.ok() && !released.error().conflict()) report(released.error());
}

void LeaderElector::note_leader(const std::string& holder) {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(told_leader_, true) && leader_ == holder) return;
        leader_ = holder;
    }
    if (handler_.on_new_leader) handler_.on_new_leader(holder);
}

void LeaderElector::report(const ApiError& error) {
    if (error.cancelled()) return;
    ++failures_;
    if (handler_.on_trouble) handler_.on_trouble(error);
}

void LeaderElector::end_if_over() {
    if (leading_ && !is_leader()) stop_leading();
}

void LeaderElector::stop_leading() {
    leads_until_ = 0;
    leading_ = false;
    if (handler_.on_stopped) handler_.on_stopped();
}

}  // namespace guideway::kubernetes
