// PassingStore: hands every call to another store; a test that counts or spoils some of them overrides those.
// Worked example: class Full : public PassingStore { std::optional<Error> commit(const Batch&) override { return kFull; } };
// Thread contract: that of the inner store.
#pragma once

#include <memory>
#include <utility>

#include "controlplane/store/store.h"

namespace guideway::store {

class PassingStore : public Store {
  public:
    explicit PassingStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}
    std::optional<Error> load(Contents& contents) override { return inner_->load(contents); }
    std::optional<Error> commit(const Batch& batch) override { return inner_->commit(batch); }
    std::optional<Error> replace(const Contents& contents, std::uint64_t after_revision) override {
        return inner_->replace(contents, after_revision);
    }
    std::optional<Error> changes_since(std::uint64_t revision, Changes& changes) override {
        return inner_->changes_since(revision, changes);
    }
    void on_change(std::function<void(std::uint64_t)> notify) override { inner_->on_change(std::move(notify)); }
    std::variant<LeaseId, Error> grant_lease(std::chrono::milliseconds ttl) override {
        return inner_->grant_lease(ttl);
    }
    std::optional<Error> keep_alive(LeaseId lease) override { return inner_->keep_alive(lease); }
    std::optional<Error> revoke_lease(LeaseId lease) override { return inner_->revoke_lease(lease); }

  private:
    std::unique_ptr<Store> inner_;
};

}  // namespace guideway::store
