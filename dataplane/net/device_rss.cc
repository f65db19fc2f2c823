#include "dataplane/net/device_rss.h"

#include <algorithm>
#include <string>
#include <vector>

#include <rte_errno.h>
#include <rte_ethdev.h>

namespace guideway::net {
namespace {

constexpr std::uint64_t kWanted = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;

constexpr std::array<std::array<std::uint64_t, 3>, 2> kWithPorts{
    {{RTE_ETH_RSS_NONFRAG_IPV4_TCP, RTE_ETH_RSS_NONFRAG_IPV4_UDP, RTE_ETH_RSS_NONFRAG_IPV4_SCTP},
     {RTE_ETH_RSS_NONFRAG_IPV6_TCP, RTE_ETH_RSS_NONFRAG_IPV6_UDP, RTE_ETH_RSS_NONFRAG_IPV6_SCTP}}};

std::string error_text(int error) { return rte_strerror(error < 0 ? -error : error); }

/// 0: the driver does not say, and takes the 40 bytes of the API's description.
std::uint8_t key_size(const rte_eth_dev_info& info) {
    return info.hash_key_size == 0 ? static_cast<std::uint8_t>(kRssKey.size()) : info.hash_key_size;
}

rte_eth_rss_conf wish(const rte_eth_dev_info& info, RssKeyBuffer& key) {
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = kRssKey[i % kRssKey.size()];
    rte_eth_rss_conf conf{};
    conf.rss_hf = info.flow_type_rss_offloads & kWanted;
    if (key_size(info) >= kRssKey.size()) {
        conf.rss_key = key.data();
        conf.rss_key_len = key_size(info);
    }
    return conf;
}

int read_back(std::uint16_t ethdev, const rte_eth_dev_info& info, RssKeyBuffer& key, rte_eth_rss_conf& conf) {
    key.fill(0);
    conf = {};
    conf.rss_key = key.data();
    conf.rss_key_len = key_size(info);
    return rte_eth_dev_rss_hash_conf_get(ethdev, &conf);
}

bool is_ours(const RssKeyBuffer& key) { return std::equal(kRssKey.begin(), kRssKey.end(), key.begin()); }

/// The table as it is, empty with `why_not` where it is not told.
std::vector<std::uint16_t> settle_reta(std::uint16_t ethdev, std::uint16_t size, unsigned queues,
                                       std::string& why_not) {
    if (size == 0) {
        why_not = "its driver has no redirection table";
        return {};
    }
    constexpr std::size_t kGroup = RTE_ETH_RETA_GROUP_SIZE;
    std::vector<rte_eth_rss_reta_entry64> groups((size + kGroup - 1) / kGroup);
    for (std::size_t i = 0; i < size; ++i) {
        groups[i / kGroup].mask |= std::uint64_t{1} << i % kGroup;
        groups[i / kGroup].reta[i % kGroup] = static_cast<std::uint16_t>(i % queues);
    }
    // Where the device keeps a table of its own, that is read: even or not, it is followed.
    rte_eth_dev_rss_reta_update(ethdev, groups.data(), size);
    for (auto& group : groups) std::fill_n(group.reta, kGroup, std::uint16_t{0xffff});
    if (const int error = rte_eth_dev_rss_reta_query(ethdev, groups.data(), size); error != 0) {
        why_not = "it does not tell its redirection table (" + error_text(error) + ")";
        return {};
    }
    std::vector<std::uint16_t> reta(size);
    for (std::size_t i = 0; i < size; ++i) reta[i] = groups[i / kGroup].reta[i % kGroup];
    return reta;
}

}  // namespace

void ask_for_offloads(const rte_eth_dev_info& info, unsigned queues, rte_eth_conf& settings, RssKeyBuffer& key) {
    // A NIC that verifies the IPv4 checksum verifies the others in passing. virtio offers TCP and UDP alone, and with them lets
    // the peer leave those checksums undone: not wanted.
    constexpr std::uint64_t kChecksums = RTE_ETH_RX_OFFLOAD_CHECKSUM | RTE_ETH_RX_OFFLOAD_SCTP_CKSUM;
    if ((info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0)
        settings.rxmode.offloads |= info.rx_offload_capa & kChecksums;
    if (queues < 2 || info.flow_type_rss_offloads == 0) return;
    settings.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    settings.rxmode.offloads |= info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
    settings.rx_adv_conf.rss_conf = wish(info, key);
}

DeviceRss settle_rss(std::uint16_t ethdev, const rte_eth_dev_info& info, unsigned queues) {
    DeviceRss result;
    const auto useless = [&](std::string why) {
        result.why_not = std::move(why);
        return result;
    };
    if (queues < 2) return useless("one receive queue");
    if (info.flow_type_rss_offloads == 0) return useless("its driver has no RSS");
    if (key_size(info) < kRssKey.size())
        return useless("an RSS key of " + std::to_string(key_size(info)) + " bytes, 40 are needed");

    RssKeyBuffer key;
    rte_eth_rss_conf conf;
    int error = read_back(ethdev, info, key, conf);
    const std::uint64_t wanted = info.flow_type_rss_offloads & kWanted;
    if (error == 0 && (!is_ours(key) || (conf.rss_hf & wanted) != wanted)) {
        conf = wish(info, key);
        rte_eth_dev_rss_hash_update(ethdev, &conf);  // refused: what it has instead is followed
        error = read_back(ethdev, info, key, conf);
    }
    if (error != 0) return useless("it does not tell its RSS key (" + error_text(error) + ")");
    std::copy_n(key.begin(), result.key.size(), result.key.begin());
    for (std::size_t family = 0; family < kWithPorts.size(); ++family) {
        for (std::size_t i = 0; i < kWithPorts[family].size(); ++i)
            result.hashes_ports_of[family][i] = (conf.rss_hf & kWithPorts[family][i]) != 0;
    }
    result.reta = settle_reta(ethdev, info.reta_size, queues, result.why_not);
    return result;
}

}  // namespace guideway::net
