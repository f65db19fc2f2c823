#include "controlplane/ipam/service_allocation.h"

#include <algorithm>

namespace guideway::ipam {
namespace {

bool any_matches(const std::vector<LabelSelector>& selectors, const Labels& labels) {
    return std::any_of(selectors.begin(), selectors.end(),
                       [&](const LabelSelector& selector) { return selector.matches(labels); });
}

bool names(const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

std::string list_of(const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& item : list) text += (text.empty() ? "\"" : ", \"") + item + "\"";
    return text;
}

std::string list_of(const std::vector<LabelSelector>& selectors) {
    std::string text;
    for (const LabelSelector& selector : selectors) text += (text.empty() ? "[" : " or [") + selector.to_string() + "]";
    return text;
}

std::string list_of(const Labels& labels) {
    std::string text;
    for (const auto& [key, value] : labels) text += (text.empty() ? "" : ", ") + key + "=" + value;
    return text.empty() ? "no labels" : "the labels " + text;
}

}  // namespace

ServiceAllocation::Part ServiceAllocation::refusing_part(const ServiceKey& service, const Wish& wish) const {
    if (!clusters.empty() && !names(clusters, service.cluster)) return Part::clusters;
    const bool any_namespace = namespaces.empty() && namespace_selectors.empty();
    if (!any_namespace && !names(namespaces, service.name_space) &&
        !any_matches(namespace_selectors, wish.namespace_labels)) {
        return Part::namespaces;
    }
    if (!service_selectors.empty() && !any_matches(service_selectors, wish.service_labels)) return Part::services;
    return Part::none;
}

std::string ServiceAllocation::why_not(const ServiceKey& service, const Wish& wish) const {
    switch (refusing_part(service, wish)) {
        case Part::none:
            break;
        case Part::clusters:
            return "it admits only the clusters " + list_of(clusters) + ", and the service is of \"" + service.cluster +
                   "\"; add the cluster to the pool, or ask for another pool";
        case Part::namespaces: {
            std::string admitted = list_of(namespaces);
            if (!namespace_selectors.empty()) {
                admitted +=
                    (admitted.empty() ? "those that match " : ", and those that match ") + list_of(namespace_selectors);
            }
            return "it admits only the namespaces " + admitted + ", and \"" + service.name_space + "\" has " +
                   list_of(wish.namespace_labels) + "; add the namespace to the pool, or ask for another pool";
        }
        case Part::services:
            return "it admits only services that match " + list_of(service_selectors) + ", and this one has " +
                   list_of(wish.service_labels) + "; label the service, or ask for another pool";
    }
    return "";
}

std::vector<SelectorFault> faults_of(const ServiceAllocation& allocation) {
    std::vector<SelectorFault> faults;
    const auto check_names = [&](const std::vector<std::string>& list, const std::string& field) {
        for (std::size_t i = 0; i < list.size(); ++i) {
            if (list[i].empty()) faults.push_back({field + "/" + std::to_string(i), "is empty; write a name"});
        }
    };
    const auto check_selectors = [&](const std::vector<LabelSelector>& selectors, const std::string& field) {
        for (std::size_t i = 0; i < selectors.size(); ++i) {
            for (SelectorFault& fault : faults_of(selectors[i])) {
                faults.push_back({field + "/" + std::to_string(i) + fault.field, std::move(fault.message)});
            }
        }
    };
    check_names(allocation.namespaces, "/namespaces");
    check_selectors(allocation.namespace_selectors, "/namespaceSelectors");
    check_selectors(allocation.service_selectors, "/serviceSelectors");
    check_names(allocation.clusters, "/clusters");
    return faults;
}

}  // namespace guideway::ipam
