// StoreLock: one process at a time on a store. A file NAME.lock beside the store, locked (flock) for as long as this object
// lives; the kernel gives the lock back when the process dies, however it dies. The file stays, and names the last holder.
//
// It is a file of its own, as a restore puts another file in the store's place while it holds the lock.
// Worked example: take("/var/lib/guideway/guideway.db") -> the lock, or in_use: "... process 4711 ... stop it first".
// Thread contract: any one thread at a time. The file is not inherited by programs that are started.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "controlplane/store/store.h"

namespace guideway::store {

class StoreLock {
  public:
    /// `store`: the store's file; its folder must exist and be writable.
    static std::variant<std::unique_ptr<StoreLock>, Error> take(const std::string& store);
    ~StoreLock();
    StoreLock(const StoreLock&) = delete;
    StoreLock& operator=(const StoreLock&) = delete;

  private:
    explicit StoreLock(int file) : file_(file) {}
    int file_;
};

}  // namespace guideway::store
