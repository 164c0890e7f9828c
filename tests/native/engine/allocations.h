// Counts what operator new is asked for, and holds warm calls of an engine to none. For one source file of a program.
#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "../../../native/engine/engine.h"

static std::atomic<size_t> allocations{0};

void* operator new(size_t n) {
  ++allocations;
  if (void* p = std::malloc(n ? n : 1)) return p;
  throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, size_t) noexcept { std::free(p); }

static void fail(const std::string& what) {
  std::printf("%s\n", what.c_str());
  std::exit(1);
}

// Pictures of `side` pixels, in batches below and above what the heads wait for. Each member of a team makes its arena when it
// first gets work, which on a busy machine may be late: so there are some tries.
template <class Engine>
static void hot_path_allocates_nothing(Engine& engine, size_t side, const std::string& what) {
  constexpr size_t kMost = lcnet::Plan::kHeads + 3;
  constexpr int kTries = 20;
  std::vector<float> x(kMost * engine.network().in_chans * side * side), logits(kMost * engine.network().classes);
  lcnet::Outputs out;
  out.logits = logits.data();
  for (size_t images : {size_t{1}, size_t{3}, kMost}) {
    size_t made = 1;
    for (int tries = 0; tries < kTries && made; ++tries) {
      const size_t before = allocations + lcnet::buffers_made();
      for (int i = 0; i < 5; ++i) engine.run(x.data(), images, side, side, out);
      made = allocations + lcnet::buffers_made() - before;
    }
    if (made) fail(what + "a warm call allocates");
  }
}
