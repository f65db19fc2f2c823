// KindCodec: how the answers about a kind are read, for templates over kinds. Thread contract: pure functions.
#pragma once

#include <string_view>

#include "api/contract/decoded.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/token_codec.h"

namespace guideway::client {

template <class T>
using Reader = contract::Decoded<T> (*)(std::string_view);

template <class T>
struct KindCodec;
template <>
struct KindCodec<resources::LoadBalancer> {
    static constexpr Reader<resources::LoadBalancer> read = resources::read_load_balancer;
    static constexpr Reader<resources::List<resources::LoadBalancer>> page = resources::read_load_balancer_page;
};
template <>
struct KindCodec<resources::AddressPool> {
    static constexpr Reader<resources::AddressPool> read = resources::read_address_pool;
    static constexpr Reader<resources::List<resources::AddressPool>> page = resources::read_address_pool_page;
};
template <>
struct KindCodec<resources::Node> {
    static constexpr Reader<resources::Node> read = resources::read_node;
    static constexpr Reader<resources::List<resources::Node>> page = resources::read_node_page;
};
template <>
struct KindCodec<resources::Token> {
    static constexpr Reader<resources::Token> read = resources::read_token;
    static constexpr Reader<resources::List<resources::Token>> page = resources::read_token_page;
};
template <>
struct KindCodec<resources::Event> {
    static constexpr Reader<resources::Event> read = resources::read_event;
    static constexpr Reader<resources::List<resources::Event>> page = resources::read_event_page;
};

}  // namespace guideway::client
