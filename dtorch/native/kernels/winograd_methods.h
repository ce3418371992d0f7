// How tiles of an image become points that are multiplied, and products become tiles of the result;
// for one dimension. Only for winograd.cpp.
//
// A tile of the input has `patch` elements, `step` apart from the next tile's; they become
// `points`, which are multiplied with as many of the weights and give `out` elements of the result.
// Functions hand what they find to put(index, value). delta() is product() transposed,
// weight_grad() weight(). Where there are more points, more tiles are needed until their weights
// have paid.
#pragma once

#include "kernels/simd.h"

namespace dtorch::DTORCH_CAPABILITY {

using Wide = Vector<float>;

// Toom and Cook's multiplication of polynomials at the points a, -a, b, -b and infinity (and 0),
// with a = 1 / sqrt(2) and b = sqrt(2): a quarter of the rounding errors of the customary 1 and 2,
// as the powers of a and b are nearer to each other.
inline constexpr float a1 = 0.70710678118654752f, b1 = 1.41421356237309505f;

// Three taps at stride 1, F(4, 3): 6 multiplications instead of 12.
struct UnitStride {
  static constexpr std::size_t patch = 6, step = 4, points = 6, out = 4, least_tiles = 8;

  template <class Put>
  static void input(const Wide* d, Put put) {
    const Wide p = d[4] - 2.0f * d[2], q = a1 * (d[3] - 2.0f * d[1]);
    const Wide r = d[4] - 0.5f * d[2], s = b1 * (d[3] - 0.5f * d[1]);
    put(0, d[0] - 2.5f * d[2] + d[4]);
    put(1, p + q);
    put(2, p - q);
    put(3, r + s);
    put(4, r - s);
    put(5, d[1] - 2.5f * d[3] + d[5]);
  }

  template <class Put>
  static void product(const Wide* m, Put put) {
    const Wide p = m[1] + m[2], q = a1 * (m[1] - m[2]), r = m[3] + m[4], s = b1 * (m[3] - m[4]);
    put(0, m[0] + p + r);
    put(1, q + s);
    put(2, 0.5f * p + 2.0f * r);
    put(3, 0.5f * q + 2.0f * s + m[5]);
  }

  template <class Put>
  static void delta(const Wide* y, Put put) {
    const Wide p = y[0] + 0.5f * y[2], q = a1 * (y[1] + 0.5f * y[3]);
    const Wide r = y[0] + 2.0f * y[2], s = b1 * (y[1] + 2.0f * y[3]);
    put(0, y[0]);
    put(1, p + q);
    put(2, p - q);
    put(3, r + s);
    put(4, r - s);
    put(5, y[3]);
  }

  template <class Put>
  static void weight(const Wide* w, Put put) {
    const Wide p = (w[0] + 0.5f * w[2]) * (-2.0f / 3), q = w[1] * (-2.0f / 3 * a1);
    const Wide r = (w[0] + 2.0f * w[2]) * (1.0f / 6), s = w[1] * (1.0f / 6 * b1);
    put(0, w[0]);
    put(1, p + q);
    put(2, p - q);
    put(3, r + s);
    put(4, r - s);
    put(5, w[2]);
  }

  template <class Put>
  static void weight_grad(const Wide* u, Put put) {
    const Wide p = (u[1] + u[2]) * (-2.0f / 3), r = (u[3] + u[4]) * (1.0f / 6);
    put(0, u[0] + p + r);
    put(1, (u[1] - u[2]) * (-2.0f / 3 * a1) + (u[3] - u[4]) * (1.0f / 6 * b1));
    put(2, 0.5f * p + 2.0f * r + u[5]);
  }
};

// Two taps at stride 1, F(4, 2), for the methods below: 5 multiplications instead of 8.
struct TwoTaps {
  template <class Put>
  static void input(Wide d0, Wide d1, Wide d2, Wide d3, Wide d4, Put put) {
    const Wide p = d3 - 2.0f * d1, q = a1 * (d2 - 2.0f * d0);
    const Wide r = d3 - 0.5f * d1, s = b1 * (d2 - 0.5f * d0);
    put(0, p + q);
    put(1, p - q);
    put(2, r + s);
    put(3, r - s);
    put(4, d0 - 2.5f * d2 + d4);
  }

  template <class Put>
  static void product(const Wide* m, Put put) {
    const Wide p = m[0] + m[1], q = a1 * (m[0] - m[1]), r = m[2] + m[3], s = b1 * (m[2] - m[3]);
    put(0, p + r);
    put(1, q + s);
    put(2, 0.5f * p + 2.0f * r);
    put(3, 0.5f * q + 2.0f * s + m[4]);
  }
};

// Three taps at stride 2: the outer two meet the input's even elements, the one between them the
// odd ones, which are multiplied as they are. 9 multiplications instead of 12.
struct StrideTwo {
  static constexpr std::size_t patch = 9, step = 8, points = 9, out = 4, least_tiles = 32;

  template <class Put>
  static void input(const Wide* d, Put put) {
    TwoTaps::input(d[0], d[2], d[4], d[6], d[8], put);
    put(5, d[1]);
    put(6, d[3]);
    put(7, d[5]);
    put(8, d[7]);
  }

  template <class Put>
  static void product(const Wide* m, Put put) {
    TwoTaps::product(m, [&](std::size_t i, Wide v) { put(i, v + m[5 + i]); });
  }

  template <class Put>
  static void weight(const Wide* w, Put put) {
    const Wide p = w[0] * (b1 / 3), q = w[2] * (1.0f / 3), r = w[0] * (a1 / 3);
    put(0, -q - p);
    put(1, p - q);
    put(2, q + r);
    put(3, q - r);
    put(4, w[2]);
    put(5, w[1]);
    put(6, w[1]);
    put(7, w[1]);
    put(8, w[1]);
  }
};

// The gradient of the input at stride 2 and padding 1, from the gradient of the result and weights
// turned around. Its even elements (odd ones of the padded input) meet the middle tap alone.
struct StrideTwoBackward {
  static constexpr std::size_t patch = 5, step = 4, points = 9, out = 8, least_tiles = 32;

  template <class Put>
  static void input(const Wide* d, Put put) {
    TwoTaps::input(d[0], d[1], d[2], d[3], d[4], put);
    put(5, d[0]);
    put(6, d[1]);
    put(7, d[2]);
    put(8, d[3]);
  }

  template <class Put>
  static void product(const Wide* m, Put put) {
    TwoTaps::product(m, [&](std::size_t i, Wide v) { put(2 * i + 1, v); });
    put(0, m[5]);
    put(2, m[6]);
    put(4, m[7]);
    put(6, m[8]);
  }

  template <class Put>
  static void weight(const Wide* w, Put put) {
    StrideTwo::weight(w, put);
  }
};

}  // namespace dtorch::DTORCH_CAPABILITY
