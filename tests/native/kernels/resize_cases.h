// The kernels that scale pictures, each against the specification, and whole pictures by them.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "../../../native/resize/resize.h"
#include "guarded.h"
#include "slots.h"

using lcnet::Kernels;

inline const char* context = "";  // what messages are about

static void equal(const uint8_t* found, const uint8_t* expected, size_t n) {
  for (size_t i = 0; i < n; ++i)
    if (found[i] != expected[i]) {
      std::printf("%s: byte %zu of %zu is %d, expected %d\n", context, i, n, found[i], expected[i]);
      std::exit(1);
    }
}

// Any coefficients, also such as no filter has: sums that overflow wrap everywhere alike.
static void append_coefficients(std::vector<int16_t>& k, size_t count) {
  for (size_t pair = 0; pair < count; pair += 2) {
    const bool odd = pair + 1 == count;
    const int low[] = {static_cast<int>(pick(0, 32767)), static_cast<int>(pick(0, 32767))};
    const int high[] = {static_cast<int>(pick(0, 300)) - 150, static_cast<int>(pick(0, 300)) - 150};
    for (const int* half : {low, high})
      k.push_back(static_cast<int16_t>(half[0])), k.push_back(static_cast<int16_t>(odd ? 0 : half[1]));
  }
}

// Rows may be read 15 bytes beyond their end and written 3; with fewer than four, the last is given again.
static void resize_rows(const Kernels& fast, const Kernels& scalar) {
  const size_t channels = pick(1, 4), width = pick(1, 60), from = pick(1, 300), rows = pick(1, 4);
  std::vector<lcnet::ResizeTaps> taps;
  std::vector<int16_t> k;
  for (size_t x = 0; x < width; ++x) {
    const size_t first = pick(0, from - 1), count = pick(1, pick(0, 9) ? std::min<size_t>(from - first, 12) : from - first);
    taps.push_back({static_cast<uint32_t>(first), static_cast<uint32_t>(count)});
    append_coefficients(k, count);
  }
  std::vector<std::unique_ptr<GuardedBytes>> in, found, expected;
  const uint8_t* in_rows[4];
  uint8_t *found_rows[4], *expected_rows[4];
  for (size_t r = 0; r < 4; ++r) {
    if (r < rows) {
      in.push_back(std::make_unique<GuardedBytes>(from * channels + 15));
      found.push_back(std::make_unique<GuardedBytes>(width * channels + 3));
      expected.push_back(std::make_unique<GuardedBytes>(width * channels + 3));
    }
    in_rows[r] = in.back()->data, found_rows[r] = found.back()->data, expected_rows[r] = expected.back()->data;
  }
  use(fast.u8_resize_rows)(in_rows, taps.data(), k.data(), found_rows, width, channels);
  scalar.u8_resize_rows(in_rows, taps.data(), k.data(), expected_rows, width, channels);
  for (size_t r = 0; r < 4; ++r) equal(found_rows[r], expected_rows[r], width * channels);
}

static void resize_columns(const Kernels& fast, const Kernels& scalar) {
  const size_t bytes = pick(1, 300), whole = (bytes + 63) / 64 * 64, count = pick(1, pick(0, 9) ? 12 : 600);
  std::vector<int16_t> k;
  append_coefficients(k, count);
  std::vector<std::unique_ptr<GuardedBytes>> in;
  std::vector<const uint8_t*> rows;
  for (size_t t = 0; t < (count + 1) / 2 * 2; ++t) {
    if (t < 16) in.push_back(std::make_unique<GuardedBytes>(whole));
    rows.push_back(in[t % 16]->data);
  }
  GuardedBytes found(whole), expected(whole);
  use(fast.u8_resize_columns)(rows.data(), k.data(), count, found.data, bytes);
  scalar.u8_resize_columns(rows.data(), k.data(), count, expected.data, bytes);
  equal(found.data, expected.data, bytes);
}

// Coefficients of two pixels: they add up to as much as a sum can hold, and none is negative.
static void pick_lerp(int16_t k[2]) {
  k[1] = static_cast<int16_t>(pick(0, 3) ? pick(0, 2048) : pick(0, 1) * 2048);
  k[0] = static_cast<int16_t>(2048 - k[1] + (k[1] && pick(0, 1)));
}

// As in `resize_rows`, but numbers of 16 bits are written; of the last pixel nothing is to its right.
static void lerp_rows(const Kernels& fast, const Kernels& scalar) {
  const size_t channels = pick(1, 4), width = pick(1, 60), from = pick(1, 300), rows = pick(1, 4);
  std::vector<lcnet::LerpTap> taps(width);
  for (lcnet::LerpTap& tap : taps) {
    tap.first = static_cast<uint32_t>(pick(0, from - 1));
    pick_lerp(tap.k);
    if (tap.first == from - 1) tap.k[0] = 2048, tap.k[1] = 0;
  }
  std::vector<std::unique_ptr<GuardedBytes>> in, found, expected;
  const uint8_t* in_rows[4];
  int16_t *found_rows[4], *expected_rows[4];
  for (size_t r = 0; r < 4; ++r) {
    if (r < rows) {
      in.push_back(std::make_unique<GuardedBytes>(from * channels + 15));
      for (auto* out : {&found, &expected}) out->push_back(std::make_unique<GuardedBytes>((width * channels + 3) * 2));
    }
    in_rows[r] = in.back()->data;
    found_rows[r] = reinterpret_cast<int16_t*>(found.back()->data);
    expected_rows[r] = reinterpret_cast<int16_t*>(expected.back()->data);
  }
  use(fast.u8_lerp_rows)(in_rows, taps.data(), found_rows, width, channels);
  scalar.u8_lerp_rows(in_rows, taps.data(), expected_rows, width, channels);
  for (size_t r = 0; r < rows; ++r) equal(found[r]->data, expected[r]->data, width * channels * 2);
}

static void lerp_columns(const Kernels& fast, const Kernels& scalar) {
  const size_t bytes = pick(1, 300), whole = (bytes + 63) / 64 * 64;
  GuardedBytes a(2 * whole), b(2 * whole), found(whole), expected(whole);
  const int16_t* in[] = {reinterpret_cast<int16_t*>(a.data), reinterpret_cast<int16_t*>(b.data)};
  for (const int16_t* row : in)
    for (size_t i = 0; i < whole; ++i) const_cast<int16_t*>(row)[i] = static_cast<int16_t>(pick(0, 255 * 2049 / 16));
  int16_t k[2];
  pick_lerp(k);
  use(fast.i16_lerp_columns)(in, k, found.data, bytes);
  scalar.i16_lerp_columns(in, k, expected.data, bytes);
  equal(found.data, expected.data, bytes);
}

struct Rows final : lcnet::RowSink {
  explicit Rows(size_t n) : bytes(n) {}
  void row(size_t, const uint8_t* pixels) override { all.insert(all.end(), pixels, pixels + bytes); }
  size_t bytes;
  std::vector<uint8_t> all;
};

// A whole picture whose memory ends with its last pixel, by every filter and through both orders of passes.
static void resize_picture(const Kernels& fast, const Kernels& scalar) {
  const size_t height = pick(1, 90), width = pick(1, 90), channels = pick(1, 4);
  const size_t to_height = pick(1, 90), to_width = pick(0, 5) ? pick(1, 90) : width;
  const size_t left = pick(0, to_width - 1), top = pick(0, to_height - 1);
  const lcnet::Resize to{to_height,
                         to_width,
                         left,
                         top,
                         pick(left + 1, to_width),
                         pick(top + 1, to_height),
                         static_cast<lcnet::Filter>(pick(0, 6))};
  const GuardedBytes pixels(height * width * channels);
  Rows found(to.columns() * channels), expected(to.columns() * channels);
  lcnet::resize(fast, {pixels.data, height, width, channels}, to, found);
  lcnet::resize(scalar, {pixels.data, height, width, channels}, to, expected);
  if (found.all.size() != to.rows() * found.bytes) std::printf("%s: rows are missing\n", context), std::exit(1);
  equal(found.all.data(), expected.all.data(), found.all.size());
}
