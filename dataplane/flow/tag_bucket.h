// TagBucket: one cache line of the flow table's index: ten tags compared at once, ten references to entries.
//
// Terms:
//   tag        16 bits of a tuple's hash. Equal tags are a hint, the entry's tuple decides.
//   reference  entry index and half (FlowRef), and whether the slot stands in its tuple's second bucket.
//   overflow   how many tuples whose first bucket this is had to go to their second: at 0, a miss here is a miss.
//
// Thread contract: the worker that owns the table.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace guideway::flow {

inline constexpr unsigned kBucketSlots = 10;

struct alignas(64) TagBucket {
    std::array<std::uint16_t, kBucketSlots> tags;
    std::array<std::uint32_t, kBucketSlots> references;
    std::uint16_t used;  ///< bit i: slot i
    std::uint16_t overflow;
};
static_assert(sizeof(TagBucket) == 64 && std::is_trivially_copyable_v<TagBucket>);
static_assert(offsetof(TagBucket, references) == 20 && offsetof(TagBucket, used) == 60);

/// Bit i: slot i is used and has the tag. The portable form, and the truth the other is tested against.
inline unsigned match_tags_scalar(const TagBucket& bucket, std::uint16_t tag) {
    unsigned matches = 0;
    for (unsigned i = 0; i < kBucketSlots; ++i) matches |= static_cast<unsigned>(bucket.tags[i] == tag) << i;
    return matches & bucket.used;
}

#if defined(__SSE2__)
/// Two overlapping loads of eight tags: 0..7 and 2..9. 160 bits of tags gain nothing from wider registers.
inline unsigned match_tags_sse2(const TagBucket& bucket, std::uint16_t tag) {
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    const __m128i low = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bucket.tags.data()));
    const __m128i high = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bucket.tags.data() + 2));
    const __m128i bytes = _mm_packs_epi16(_mm_cmpeq_epi16(low, wanted), _mm_cmpeq_epi16(high, wanted));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(bytes));
    return ((mask & 0xffU) | (mask >> 6 & 0x300U)) & bucket.used;
}
inline unsigned match_tags(const TagBucket& bucket, std::uint16_t tag) { return match_tags_sse2(bucket, tag); }
#else
inline unsigned match_tags(const TagBucket& bucket, std::uint16_t tag) { return match_tags_scalar(bucket, tag); }
#endif

}  // namespace guideway::flow
