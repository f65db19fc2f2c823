// ListWatch: all objects of a kind, kept up to date by a thread of its own: lists them, watches from there, lists again where the
// watch became too old, and tells what is new, changed and gone. Survives restarts of the server and of the network.
//
// Terms. Synced: the first list is known; what is told before is of that list. Known: what was told and is not gone. Trouble: something
// that is tried again with growing pauses; also a wrong token, since a new one may be put into its file.
//
// Each handler is told what truly changed: an object that a new list shows as it was known is not told again; one that
// vanished while nobody watched is told as deleted, as it was known last.
//
// Worked example:
//     client::ListWatch<resources::Node> nodes(options, {}, {
//         .on_add = [&](const auto& node) { ... }, .on_change = [&](const auto& before, const auto& node) { ... },
//         .on_delete = [&](const auto& node) { ... }, .on_synced = [&] { ... },
//         .on_trouble = [&](const resources::Problem& problem) { log(problem.detail); }});
//     nodes.start();  ...  nodes.stop();
//
// Thread contract: handlers are called in its thread, one at a time, and must not call stop(). start() once; stop() from any other thread,
// and any number of times; after it no handler is called.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "api/client/client.h"

namespace guideway::client {

/// Null members: of no interest.
template <class T>
struct ListWatchHandler {
    std::function<void(const T&)> on_add = {};
    std::function<void(const T& before, const T& now)> on_change = {};
    std::function<void(const T&)> on_delete = {};
    std::function<void()> on_synced = {};  ///< once
    std::function<void(const resources::Problem&)> on_trouble = {};
};

/// T: resources::LoadBalancer, AddressPool, Node.
template <class T>
class ListWatch {
  public:
    ListWatch(Options options, Selection selection, ListWatchHandler<T> handler);
    ~ListWatch() { stop(); }
    ListWatch(const ListWatch&) = delete;
    ListWatch& operator=(const ListWatch&) = delete;

    void start();
    void stop();

  private:
    void run();
    void take_list(resources::List<T> list);
    bool take_change(const Change& change);
    void put(T object);
    void drop(const std::string& key);

    const Selection selection_;
    const ListWatchHandler<T> handler_;
    Client client_;
    std::map<std::string, T> known_;  ///< by "cluster/namespace/name"
    bool synced_ = false;
    resources::Problem unreadable_;
    std::mutex mutex_;  ///< of start and stop
    std::thread thread_;
    std::atomic<bool> ended_{true};
};

}  // namespace guideway::client
