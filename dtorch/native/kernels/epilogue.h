// What a network does next with the result of a layer, while that is still near the processor:
// times a factor plus a shift of each channel, plus another array, held between two bounds.
#pragma once

namespace dtorch {

template <class T>
struct Epilogue {
  const T* factor = nullptr;  // of each channel, and shift with it; null: values stay
  const T* shift = nullptr;
  const T* added = nullptr;  // of the result's shape; may be null
  T low = -__builtin_huge_val(), high = __builtin_huge_val();

  bool changes() const {
    return factor != nullptr || added != nullptr || low > -__builtin_huge_val() ||
           high < __builtin_huge_val();
  }
};

}  // namespace dtorch
