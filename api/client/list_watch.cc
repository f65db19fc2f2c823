#include "api/client/list_watch.h"

#include <chrono>
#include <set>
#include <utility>

#include "api/client/kind_codec.h"

namespace guideway::client {

using resources::Problem;

namespace {

std::string key_of(const resources::Metadata& metadata) {
    return metadata.cluster + "/" + metadata.namespace_ + "/" + metadata.name;
}

}  // namespace

template <class T>
ListWatch<T>::ListWatch(Options options, Selection selection, ListWatchHandler<T> handler)
    : selection_(std::move(selection)), handler_(std::move(handler)), client_(std::move(options)) {}

template <class T>
void ListWatch<T>::start() {
    const std::lock_guard lock(mutex_);
    if (thread_.joinable()) return;
    ended_ = false;
    thread_ = std::thread([this] {
        run();
        ended_ = true;
    });
}

template <class T>
void ListWatch<T>::stop() {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) return;
    // One cancel() may come before the call it is meant for.
    while (!ended_) {
        client_.cancel();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    thread_.join();
}

template <class T>
void ListWatch<T>::run() {
    Backoff backoff(client_.options().first_pause, client_.options().longest_pause);
    while (true) {
        auto list = client_.template list<T>(selection_);
        Problem problem;
        if (list.ok()) {
            const std::uint64_t revision = list.value().metadata.resource_version;
            take_list(std::move(list.value()));
            bool told = false;
            problem = client_.template watch<T>(selection_, revision,
                                                {.on_change =
                                                     [&](const Change& change) {
                                                         told = true;
                                                         return take_change(change);
                                                     },
                                                 .on_connected = {},
                                                 .on_trouble = handler_.on_trouble});
            if (told) backoff.reset();
            if (!unreadable_.reason.empty()) problem = std::exchange(unreadable_, {});
        } else {
            problem = list.problem();
        }
        if (client_.cancelled()) return;
        // Too old is how things go after a long break; everything else somebody should know.
        if (problem.status != 410 && handler_.on_trouble) handler_.on_trouble(problem);
        if (!client_.pause(backoff)) return;
    }
}

template <class T>
void ListWatch<T>::take_list(resources::List<T> list) {
    std::set<std::string> there;
    for (const T& object : list.items) there.insert(key_of(object.metadata));
    std::vector<std::string> gone;
    for (const auto& [key, object] : known_) {
        if (!there.contains(key)) gone.push_back(key);
    }
    // Those that left first: what they held may be with others now.
    for (const std::string& key : gone) drop(key);
    for (T& object : list.items) put(std::move(object));
    if (!std::exchange(synced_, true) && handler_.on_synced) handler_.on_synced();
}

template <class T>
bool ListWatch<T>::take_change(const Change& change) {
    if (change.type == ChangeType::bookmark) return true;
    auto object = KindCodec<T>::read(change.object);
    if (!object.ok()) {
        const contract::Fault& fault = object.faults.front();
        unreadable_ = {0, "UnexpectedAnswer",
                       client_.options().server + " sent an object that this version cannot read: " + fault.field +
                           " " + fault.message,
                       object.faults};
        return false;
    }
    if (change.type == ChangeType::deleted) {
        drop(key_of(object.value->metadata));
    } else {
        put(*std::move(object.value));
    }
    return true;
}

template <class T>
void ListWatch<T>::put(T object) {
    const auto [place, added] = known_.try_emplace(key_of(object.metadata), object);
    if (added) {
        if (handler_.on_add) handler_.on_add(place->second);
    } else if (!(place->second == object)) {
        const T before = std::exchange(place->second, std::move(object));
        if (handler_.on_change) handler_.on_change(before, place->second);
    }
}

template <class T>
void ListWatch<T>::drop(const std::string& key) {
    auto node = known_.extract(key);
    if (!node.empty() && handler_.on_delete) handler_.on_delete(node.mapped());
}

template class ListWatch<resources::LoadBalancer>;
template class ListWatch<resources::AddressPool>;
template class ListWatch<resources::Node>;

}  // namespace guideway::client
