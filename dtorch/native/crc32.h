// CRC-32 of zip archives (polynomial 0x04C11DB7, reflected), by carry-less multiplication.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dtorch {

// Whether `crc32` uses such instructions; else zlib's is the faster one.
bool has_fast_crc32();

// The checksum of what `value` is the checksum of, followed by these bytes; 0 to begin with.
std::uint32_t crc32(std::uint32_t value, const unsigned char* data, std::size_t nbytes);

}  // namespace dtorch
