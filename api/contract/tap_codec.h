// Codec of taps: their JSON form on the dataplane's socket. Bytes of packets are hexadecimal.
//
// Worked example: {"filter":{"protocol":"TCP","destination":"203.0.113.10/32","destination_port":80},"bytes":256,"count":1000,
// "seconds":60,"rate":1000,"steps":true,"who":"guideway trace, process 4711"}
// Thread contract: pure functions.
#pragma once

#include "api/contract/tap.h"
#include "api/json/object_reader.h"
#include "api/json/writer.h"

namespace guideway::contract {

void put(json::Writer& out, const TapRequest& request);
void put(json::Writer& out, const TapAnswer& answer);
/// A packet as -o json shows it.
void put(json::Writer& out, const TapRecord& record);
TapRequest read_tap_request(json::ObjectReader& reader);
TapAnswer read_tap_answer(json::ObjectReader& reader);

}  // namespace guideway::contract
