#include "dataplane/worker/tap_desk.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include <rte_cycles.h>

#include "dataplane/guard/token_bucket.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/worker/tap_note.h"
#include "dataplane/worker/tap_words.h"

namespace guideway::worker {
namespace {

constexpr std::size_t kMostRecordsARead = 2000;
constexpr std::size_t kMostBytesARead = std::size_t{4} << 20;
/// A tap whose time is over and that nobody fetched from for so long gives way.
constexpr std::uint64_t kLeftBehindMs = 5000;

std::uint64_t unix_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

/// Counts back from now, so that neither clock's drift adds up.
class TapClock {
  public:
    TapClock() : cycles_(rte_rdtsc()), ns_(unix_ns()), hz_(static_cast<double>(rte_get_tsc_hz())) {}
    std::uint64_t ns_of(std::uint64_t cycles) const {
        const double ago = static_cast<double>(static_cast<std::int64_t>(cycles_ - cycles)) / hz_ * 1e9;
        return ns_ - static_cast<std::uint64_t>(static_cast<std::int64_t>(ago));
    }

  private:
    std::uint64_t cycles_;
    std::uint64_t ns_;
    double hz_;
};

observe::TapSide side_of(const std::optional<IpPrefix>& prefix, std::uint16_t port) {
    observe::TapSide side;
    side.port = __builtin_bswap16(port);
    if (!prefix) return side;
    std::array<std::uint8_t, 16> address{};
    std::array<std::uint8_t, 16> mask{};
    const bool is_v4 = prefix->address.is_v4();
    if (is_v4) {
        address[10] = address[11] = 0xff;
        std::copy_n(prefix->address.bytes.begin(), 4, address.begin() + 12);
    } else {
        address = prefix->address.bytes;
    }
    const unsigned bits = prefix->length + (is_v4 ? 96U : 0U);
    for (unsigned bit = 0; bit < bits; ++bit)
        mask[bit / 8] = static_cast<std::uint8_t>(mask[bit / 8] | 0x80U >> bit % 8);
    std::memcpy(side.address.data(), address.data(), sizeof address);
    std::memcpy(side.mask.data(), mask.data(), sizeof mask);
    return side;
}

std::uint8_t protocol_number(const std::string& name) {
    if (name == "TCP") return 6;
    if (name == "UDP") return 17;
    if (name == "SCTP") return 132;
    return name == "ICMP" ? 1 : 0;
}

/// In the words of the request's fields.
observe::TapFilter filter_of(const contract::TapFilter& wanted, const std::vector<std::string>& ports,
                             std::vector<contract::Fault>& faults) {
    observe::TapFilter filter;
    filter.source = side_of(wanted.source, wanted.source_port);
    filter.destination = side_of(wanted.destination, wanted.destination_port);
    filter.protocol = protocol_number(wanted.protocol);
    filter.drops = wanted.drops || !wanted.reason.empty();
    filter.all = filter.protocol == 0 && !wanted.source && !wanted.destination && wanted.source_port == 0 &&
                 wanted.destination_port == 0;
    if (!wanted.port.empty()) {
        const auto port = std::ranges::find(ports, wanted.port);
        if (port == ports.end()) {
            std::string names;
            for (const std::string& name : ports) names += (names.empty() ? "" : ", ") + name;
            faults.push_back(
                {"/tap/filter/port", "found \"" + wanted.port + "\", allowed a port of this appliance: " + names});
        }
        filter.device = static_cast<std::uint16_t>(port - ports.begin());
    }
    if (!wanted.reason.empty()) {
        const auto name = std::ranges::find(observe::kDropReasonNames, wanted.reason);
        if (name == observe::kDropReasonNames.end() || wanted.reason == "none") {
            faults.push_back({"/tap/filter/reason", "found \"" + wanted.reason +
                                                        "\", allowed a drop reason (guideway drops --all lists them)"});
        } else {
            filter.reason = static_cast<observe::DropReason>(name - observe::kDropReasonNames.begin());
        }
    }
    return filter;
}

}  // namespace

struct TapDesk::Open {
    Open(const contract::TapRequest& wish, std::uint64_t by, std::shared_ptr<observe::Tap> made, std::uint64_t now_ms)
        : request(wish),
          client(by),
          tap(std::move(made)),
          begun_ms(now_ms),
          left(wish.count),
          rate(wish.rate, wish.rate) {}

    const contract::TapRequest request;
    const std::uint64_t client;
    const std::shared_ptr<observe::Tap> tap;
    const std::uint64_t begun_ms;
    std::uint64_t left;       ///< records to come
    guard::TokenBucket rate;  ///< of all workers together
    std::uint64_t over_rate = 0;
    std::string ended;  ///< why; empty: workers look
};

TapDesk::TapDesk(TapSurroundings surroundings) : around_(std::move(surroundings)) {}

TapDesk::~TapDesk() {
    const std::lock_guard lock(mutex_);
    close();
}

/// From here on no worker looks; what they saw may be in the rings still.
void TapDesk::stop(const char* why) {
    if (open_->ended.empty()) around_.publisher.show_tap(nullptr);
    open_->ended = why;
}

void TapDesk::close() {
    if (open_) stop("closed");
    open_.reset();
}

std::vector<contract::Fault> TapDesk::begin(const contract::TapRequest& request, std::uint64_t client) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t now_ms = around_.now_ms();
    if (open_ && now_ms > open_->tap->bounds.deadline_ms + kLeftBehindMs) close();
    if (open_) {
        const std::string who = open_->request.who.empty() ? "another client" : open_->request.who;
        return {{"/tap",
                 "in use by " + who + ", for " + std::to_string((now_ms - open_->begun_ms) / 1000) + " s now and " +
                     std::to_string(
                         (open_->tap->bounds.deadline_ms - std::min(now_ms, open_->tap->bounds.deadline_ms)) / 1000) +
                     " s more at the most: one trace or capture at a time"}};
    }
    std::vector<contract::Fault> faults;
    const observe::TapFilter filter = filter_of(request.filter, around_.port_names, faults);
    if (!faults.empty()) return faults;
    observe::TapBounds bounds;
    bounds.bytes = std::clamp(request.bytes, contract::kLeastTapBytes, contract::kMostTapBytes);
    bounds.count = std::min(request.count, contract::kMostTapPackets);
    bounds.rate = std::min(request.rate, contract::kMostTapRate);
    bounds.deadline_ms = now_ms + std::uint64_t{std::min(request.seconds, contract::kMostTapSeconds)} * 1000;
    auto tap = std::make_shared<observe::Tap>(filter, bounds, around_.workers);
    open_ = std::make_unique<Open>(request, client, tap, now_ms);
    around_.publisher.show_tap(std::move(tap));
    return {};
}

/// False: over the rate of all workers together, or the last one was before it.
bool TapDesk::fits(std::uint64_t time_ms) {
    if (open_->left == 0) return false;
    if (!open_->rate.take(time_ms)) {
        ++open_->over_rate;
        return false;
    }
    --open_->left;
    return true;
}

void TapDesk::fetch(contract::TapAnswer& answer) {
    struct Fetched {
        TapNote note;
        std::uint32_t worker;
        std::vector<std::byte> bytes;
    };
    std::vector<Fetched> all;
    const observe::Tap& tap = *open_->tap;
    std::size_t bytes = 0;
    bool more = true;
    while (more && all.size() < kMostRecordsARead && bytes < kMostBytesARead) {
        more = false;
        for (std::uint32_t worker = 0; worker < tap.workers();
             ++worker) {  // a record each, so that none waits for another
            observe::ByteRing& ring = tap.lane(worker).ring;
            const auto record = ring.front();
            if (record.empty()) continue;
            more = true;
            Fetched& one = all.emplace_back();
            std::memcpy(&one.note, record.data(), sizeof one.note);
            one.worker = worker;
            one.bytes.assign(record.begin() + sizeof(TapNote), record.end());
            bytes += record.size();
            ring.pop();
        }
    }
    std::ranges::stable_sort(all, {}, [](const Fetched& one) { return one.note.cycles; });
    const TapClock clock;
    const auto state = around_.publisher.current_forwarding();
    const auto routing = around_.publisher.current_routing();
    const FlowSurroundings around{*state, *routing, around_.limits, static_cast<std::uint32_t>(around_.now_ms() / 1000),
                                  around_.port_names};
    for (const Fetched& one : all) {
        const std::uint64_t time_ns = clock.ns_of(one.note.cycles);
        if (!fits(time_ns / 1'000'000)) continue;
        contract::TapRecord& record = answer.records.emplace_back();
        record.time_ns = time_ns;
        record.worker = one.worker;
        record.taken_over = one.note.taken_over;
        const auto* at = reinterpret_cast<const char*>(one.bytes.data());
        const auto take = [&](contract::TapFrame& frame, const TapFrameNote& note) {
            frame.length = note.length;
            frame.bytes.assign(at, note.kept);
            at += note.kept;
        };
        take(record.in, one.note.in);
        record.out.resize(one.note.outs);
        for (std::size_t i = 0; i < record.out.size(); ++i) take(record.out[i], one.note.out.at(i));
        tell(record, one.note, around, open_->request.steps);
    }
}

std::optional<contract::TapAnswer> TapDesk::read(std::uint64_t client) {
    const std::lock_guard lock(mutex_);
    if (!open_ || open_->client != client) return std::nullopt;
    contract::TapAnswer answer;
    answer.ports = around_.port_names;
    if (open_->ended.empty() && around_.now_ms() >= open_->tap->bounds.deadline_ms) stop("seconds");
    fetch(answer);
    if (open_->ended.empty() && open_->left == 0) stop("count");
    for (std::uint32_t worker = 0; worker < open_->tap->workers(); ++worker) {
        const observe::TapLane& lane = open_->tap->lane(worker);
        answer.matched += lane.matched.read();
        answer.lost += lane.lost.read();
        answer.over_rate += lane.over_rate.read();
        answer.not_looked_at += lane.not_looked_at.read();
    }
    answer.over_rate += open_->over_rate;
    // What is in the rings still is fetched first.
    if (open_->left == 0 || answer.records.empty()) answer.ended = open_->ended;
    return answer;
}

void TapDesk::end(std::uint64_t client) {
    const std::lock_guard lock(mutex_);
    if (open_ && open_->client == client) close();
}

}  // namespace guideway::worker
