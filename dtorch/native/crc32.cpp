// Folding: a block of the message is replaced by its product with x^n mod P, added to the block n
// bits later, which leaves the remainder of the message as it is.
//
// V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction",
// Intel, 2009. Instead of their last reduction the 16 bytes that remain go through the table.
#include "crc32.h"

#include "capability.h"

#include <array>

#if DTORCH_X86
#include <immintrin.h>
#endif

namespace dtorch {
namespace {

constexpr std::uint32_t polynomial = 0xEDB88320u;

constexpr std::uint32_t times_x(std::uint32_t value) {
  return (value >> 1) ^ ((value & 1) != 0 ? polynomial : 0);
}

constexpr std::array<std::uint32_t, 256> table = [] {
  std::array<std::uint32_t, 256> made{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    made[i] = i;
    for (int bit = 0; bit < 8; ++bit) made[i] = times_x(made[i]);
  }
  return made;
}();

std::uint32_t by_table(std::uint32_t value, const unsigned char* data, std::size_t nbytes) {
  for (std::size_t i = 0; i < nbytes; ++i) value = (value >> 8) ^ table[(value ^ data[i]) & 0xFF];
  return value;
}

#if DTORCH_X86

// x^n mod P for a product of reflected numbers, which stands one bit too low.
consteval std::int64_t power(unsigned n) {
  std::uint32_t value = 0x80000000u;
  for (unsigned i = 0; i < n; ++i) value = times_x(value);
  return std::int64_t{value} << 1;
}

#define DTORCH_CLMUL __attribute__((target("pclmul,sse4.1")))
#define DTORCH_WIDE_CLMUL __attribute__((target("vpclmulqdq,avx512f,pclmul,sse4.1")))

constexpr std::size_t lanes = 4;  // independent sums, because a multiplication takes a while

// The two halves of a block of 16 bytes go to a block `bits` later.
template <unsigned bits>
DTORCH_CLMUL __m128i distance() {
  constexpr std::int64_t high = power(bits - 32), low = power(bits + 32);
  return _mm_set_epi64x(high, low);
}

DTORCH_CLMUL __m128i load(const unsigned char* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

DTORCH_CLMUL __m128i fold(__m128i block, __m128i by, __m128i next) {
  const __m128i low = _mm_clmulepi64_si128(block, by, 0x00);
  const __m128i high = _mm_clmulepi64_si128(block, by, 0x11);
  return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// The remainder of `block` followed by the bytes.
DTORCH_CLMUL std::uint32_t finish(__m128i block, const unsigned char* data, std::size_t nbytes) {
  const __m128i next = distance<128>();
  for (; nbytes >= 16; data += 16, nbytes -= 16) block = fold(block, next, load(data));
  alignas(16) unsigned char rest[16];
  _mm_store_si128(reinterpret_cast<__m128i*>(rest), block);
  return by_table(by_table(0, rest, sizeof rest), data, nbytes);
}

DTORCH_CLMUL std::uint32_t narrow(std::uint32_t value, const unsigned char* data,
                                  std::size_t nbytes) {
  constexpr std::size_t step = lanes * 16;
  const __m128i far = distance<8 * step>(), next = distance<128>();
  __m128i sums[lanes];
  for (std::size_t i = 0; i < lanes; ++i) sums[i] = load(data + 16 * i);
  sums[0] = _mm_xor_si128(sums[0], _mm_cvtsi32_si128(static_cast<int>(value)));
  for (data += step, nbytes -= step; nbytes >= step; data += step, nbytes -= step) {
    for (std::size_t i = 0; i < lanes; ++i) sums[i] = fold(sums[i], far, load(data + 16 * i));
  }
  __m128i sum = sums[0];
  for (std::size_t i = 1; i < lanes; ++i) sum = fold(sum, next, sums[i]);
  return finish(sum, data, nbytes);
}

DTORCH_WIDE_CLMUL __m512i wide_fold(__m512i block, __m512i by, __m512i next) {
  const __m512i low = _mm512_clmulepi64_epi128(block, by, 0x00);
  const __m512i high = _mm512_clmulepi64_epi128(block, by, 0x11);
  return _mm512_ternarylogic_epi64(low, high, next, 0x96);  // exclusive or of the three
}

DTORCH_WIDE_CLMUL std::uint32_t wide(std::uint32_t value, const unsigned char* data,
                                     std::size_t nbytes) {
  constexpr std::size_t step = lanes * 64;
  constexpr std::int64_t high = power(8 * step - 32), low = power(8 * step + 32);
  const __m512i far = _mm512_set4_epi64(high, low, high, low);
  __m512i sums[lanes];
  for (std::size_t i = 0; i < lanes; ++i) sums[i] = _mm512_loadu_si512(data + 64 * i);
  sums[0] =
      _mm512_xor_si512(sums[0], _mm512_zextsi128_si512(_mm_cvtsi32_si128(static_cast<int>(value))));
  for (data += step, nbytes -= step; nbytes >= step; data += step, nbytes -= step) {
    for (std::size_t i = 0; i < lanes; ++i) {
      sums[i] = wide_fold(sums[i], far, _mm512_loadu_si512(data + 64 * i));
    }
  }
  alignas(64) unsigned char blocks[step];
  for (std::size_t i = 0; i < lanes; ++i) _mm512_store_si512(blocks + 64 * i, sums[i]);
  __m128i sum = load(blocks);
  for (std::size_t i = 16; i < step; i += 16) sum = fold(sum, distance<128>(), load(blocks + i));
  return finish(sum, data, nbytes);
}

bool has_wide() {
  return capability() == Capability::avx512 && __builtin_cpu_supports("vpclmulqdq");
}

#endif

}  // namespace

bool has_fast_crc32() {
#if DTORCH_X86
  return capability() != Capability::baseline && __builtin_cpu_supports("pclmul");
#else
  return false;
#endif
}

std::uint32_t crc32(std::uint32_t value, const unsigned char* data, std::size_t nbytes) {
#if DTORCH_X86
  static const bool use_narrow = has_fast_crc32(), use_wide = has_wide();
  if (use_wide && nbytes >= lanes * 64) return ~wide(~value, data, nbytes);
  if (use_narrow && nbytes >= lanes * 16) return ~narrow(~value, data, nbytes);
#endif
  return ~by_table(~value, data, nbytes);
}

}  // namespace dtorch
