// The kernels that decode JPEG files, of every ISA against the specification, in memory that ends at pages which may not be
// touched; then whole files, named as arguments, and damaged ones: the ISAs agree on which they take and on every pixel.
//
//   jpeg_test [--count N] [FILE ...]      N damaged ones of each file, 200 by default
//
// Prints one line an ISA and how many files were taken, and exits 0, or the first difference and exits 1.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "../../../native/dispatch.h"
#include "../../../native/jpeg/decode.h"
#include "../isas.h"
#include "../kernels/guarded.h"
#include "../kernels/slots.h"

using lcnet::JpegKernels;
using lcnet::JpegQuanta;
using lcnet::kJpegBeyond;
using lcnet::kJpegBlock;

static const JpegKernels& scalar = lcnet::jpeg_kernels__scalar;

[[noreturn]] static void fail(const char* isa, const char* what) {
  std::printf("%s: %s\n", isa, what);
  std::exit(1);
}

static void equal(const char* isa, const char* what, const uint8_t* found, const uint8_t* expected, size_t n) {
  if (std::memcmp(found, expected, n)) fail(isa, what);
}

// Blocks as they come: few numbers and small ones, or many and as large as they may be, or larger.
static void fill(int16_t* blocks, size_t n, size_t kind) {
  std::memset(blocks, 0, n * kJpegBlock * sizeof *blocks);
  for (size_t b = 0; b < n; ++b) {
    const size_t most = kind == 0 ? 1 : kind == 1 ? 8 : 64, large = kind == 3 ? 32767 : kind == 2 ? 200 : 30;
    for (size_t i = 0, count = pick(0, most); i < count; ++i)
      blocks[b * kJpegBlock + (count == 1 ? 0 : pick(0, 63))] =
          static_cast<int16_t>(static_cast<int>(pick(0, 2 * large)) - static_cast<int>(large));
  }
}

static void transform(const JpegKernels& fast) {
  const size_t n = pick(1, 13), pitch = 8 * n + kJpegBeyond + pick(0, 9), kind = pick(0, 3);
  JpegQuanta quanta;
  for (size_t i = 0; i < kJpegBlock; ++i) {
    quanta.quantum[i] = static_cast<uint16_t>(pick(1, kind == 1 ? 255 : 20));
    quanta.most[i] = static_cast<uint16_t>(lcnet::kJpegMost / quanta.quantum[i]);
  }
  const size_t numbers = (n + lcnet::kJpegBlocksBeyond) * kJpegBlock;
  GuardedBytes a(numbers * 2), b(numbers * 2), found(8 * pitch), expected(8 * pitch);
  auto *blocks = reinterpret_cast<int16_t*>(a.data), *same = reinterpret_cast<int16_t*>(b.data);
  std::memset(blocks, 0, numbers * 2);
  fill(blocks, n, kind);
  std::memcpy(same, blocks, numbers * 2);
  const bool within = use(fast.transform)(blocks, n, quanta, found.data, pitch);
  if (within != scalar.transform(same, n, quanta, expected.data, pitch)) fail(fast.isa, "other blocks are within the bounds");
  for (size_t i = 0; i < numbers; ++i)
    if (blocks[i]) fail(fast.isa, "blocks are not zero afterwards");
  for (size_t y = 0; within && y < 8; ++y)
    equal(fast.isa, "a transform differs", found.data + y * pitch, expected.data + y * pitch, 8 * n);
}

// At the bounds themselves, one number a block: each ISA must say the same.
static void bounds(const JpegKernels& fast) {
  JpegQuanta quanta;
  const auto quantum = static_cast<uint16_t>(pick(1, 255));
  for (size_t i = 0; i < kJpegBlock; ++i)
    quanta.quantum[i] = quantum, quanta.most[i] = static_cast<uint16_t>(lcnet::kJpegMost / quantum);
  std::vector<int16_t> blocks(4 * kJpegBlock), same;
  const int near =
      static_cast<int>(pick(0, 1) ? 4088 / quantum : lcnet::kJpegMost / quantum) + static_cast<int>(pick(0, 4)) - 2;
  blocks[pick(0, 63)] = static_cast<int16_t>(pick(0, 1) ? near : -near);
  same = blocks;
  std::vector<uint8_t> found(8 * 128), expected(8 * 128);
  if (fast.transform(blocks.data(), 1, quanta, found.data(), 128) !=
      scalar.transform(same.data(), 1, quanta, expected.data(), 128))
    fail(fast.isa, "another number is beyond the bounds");
}

// Rows of samples with one before and what may be read behind.
struct Row {
  explicit Row(size_t width) : bytes(1 + width + kJpegBeyond) {}
  const uint8_t* at() const { return bytes.data + 1; }
  GuardedBytes bytes;
};

static void rows(const JpegKernels& fast) {
  const size_t width = pick(1, 300);
  const Row a(width), b(width), c(width);
  GuardedBytes found(3 * (width + kJpegBeyond)), expected(3 * (width + kJpegBeyond));
  use(fast.widen)(a.at(), found.data, width);
  scalar.widen(a.at(), expected.data, width);
  equal(fast.isa, "a row differs that was made wider", found.data, expected.data, 2 * width);
  use(fast.widen_both)(a.at(), b.at(), found.data, width);
  scalar.widen_both(a.at(), b.at(), expected.data, width);
  equal(fast.isa, "a row differs that was made wider out of two", found.data, expected.data, 2 * width);
  const int bias = static_cast<int>(pick(1, 2));
  use(fast.blend)(a.at(), b.at(), found.data, width, bias);
  scalar.blend(a.at(), b.at(), expected.data, width, bias);
  equal(fast.isa, "a blended row differs", found.data, expected.data, width);
  use(fast.colors)(a.at(), b.at(), c.at(), found.data, width);
  scalar.colors(a.at(), b.at(), c.at(), expected.data, width);
  equal(fast.isa, "colors differ", found.data, expected.data, 3 * width);
}

// All colors that there are.
static void every_color(const JpegKernels& fast) {
  std::vector<uint8_t> y(256 + kJpegBeyond), b(y.size()), r(y.size()), found(3 * y.size()), expected(3 * y.size());
  for (size_t i = 0; i < 256; ++i) y[i] = static_cast<uint8_t>(i);
  for (size_t pair = 0; pair < 65536; ++pair) {
    std::fill(b.begin(), b.end(), static_cast<uint8_t>(pair));
    std::fill(r.begin(), r.end(), static_cast<uint8_t>(pair >> 8));
    fast.colors(y.data(), b.data(), r.data(), found.data(), 256);
    scalar.colors(y.data(), b.data(), r.data(), expected.data(), 256);
    equal(fast.isa, "a color differs", found.data(), expected.data(), 3 * 256);
  }
}

using Bytes = std::vector<uint8_t>;

static Bytes read_file(const char* path) {
  std::FILE* file = std::fopen(path, "rb");
  if (!file) fail(path, "cannot be read");
  Bytes data;
  for (int byte; (byte = std::fgetc(file)) != EOF;) data.push_back(static_cast<uint8_t>(byte));
  std::fclose(file);
  return data;
}

static size_t place(const Bytes& data) {
  return pick(0, 3) ? pick(0, data.size() - 1) : pick(0, std::min<size_t>(data.size(), 700) - 1);
}

static void damage(Bytes& data) {
  const auto at = [&] { return data.begin() + static_cast<ptrdiff_t>(place(data)); };
  switch (pick(0, 6)) {
    case 0: *at() ^= static_cast<uint8_t>(1 << pick(0, 7)); return;
    case 1: *at() = static_cast<uint8_t>(pick(0, 255)); return;
    case 2: *at() = pick(0, 1) ? 255 : 0; return;
    case 3: data.insert(at(), static_cast<uint8_t>(pick(0, 255))); return;
    case 4: data.erase(at()); return;
    case 5: data.resize(std::max<size_t>(place(data), 4)); return;  // so that damage has a place
    default: {
      const uint8_t marker[2] = {0xff, static_cast<uint8_t>(pick(0xc0, 0xff))};
      data.insert(at(), marker, marker + 2);
    }
  }
}

// Whether it is taken, and then its pixels. Every buffer is as large as it has to be and no larger.
static bool decoded(const JpegKernels& kernels, const Bytes& bytes, Bytes& pixels) {
  const GuardedBytes data(bytes.size());
  std::copy(bytes.begin(), bytes.end(), data.data);
  lcnet::jpeg::Header header;
  if (!lcnet::jpeg::read_header(data.data, bytes.size(), header)) return false;
  const size_t size = static_cast<size_t>(header.width) * header.height * 3;
  if (size > 1 << 20) return false;
  const std::unique_ptr<uint8_t[]> workspace(new uint8_t[lcnet::jpeg::workspace_bytes(header, bytes.size())]);
  const GuardedBytes out(size);
  if (!lcnet::jpeg::decode(kernels, header, data.data, bytes.size(), workspace.get(), out.data, 3)) return false;
  pixels.assign(out.data, out.data + size);
  return true;
}

static size_t whole_files(const std::vector<Bytes>& files, const std::vector<const JpegKernels*>& isas, size_t count) {
  size_t taken = 0;
  for (const Bytes& file : files)
    for (size_t i = 0; i < count; ++i) {
      Bytes data = file, expected, found;
      for (size_t n = i ? pick(1, 3) : 0; n > 0; --n) damage(data);
      const bool ours = decoded(scalar, data, expected);
      if (!i && !ours) fail("scalar", "an undamaged file was not taken");
      taken += ours;
      for (const JpegKernels* isa : isas) {
        found.clear();
        if (decoded(*isa, data, found) != ours || found != expected) fail(isa->isa, "a file is decoded otherwise");
      }
    }
  return taken;
}

int main(int argc, char** argv) {
  size_t count = 200;
  std::vector<Bytes> files;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--count" && i + 1 < argc)
      count = static_cast<size_t>(std::atoll(argv[++i]));
    else
      files.push_back(read_file(argv[i]));
  }
  std::vector<const JpegKernels*> isas;
  for (const lcnet::Isa& isa : lcnet::isas()) {
    const JpegKernels& kernels = lcnet::jpeg_kernels(*isa.kernels);
    if (!runs_here(isa) || std::count(isas.begin(), isas.end(), &kernels)) continue;
    isas.push_back(&kernels);
    for (int round = 0; round < 2000; ++round) transform(kernels), bounds(kernels), rows(kernels);
    every_color(kernels);
    all_used(kernels, kernels.transform, kernels.isa);
    std::printf("%s: jpeg kernels equal the specification\n", kernels.isa);
  }
  const size_t taken = whole_files(files, isas, count);
  std::printf("%zu of %zu files and damaged ones taken, by all ISAs alike\n", taken, files.size() * count);
}
