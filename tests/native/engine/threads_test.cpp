// Threads: what a pool and a team promise, and engines called from several threads at once. Under ThreadSanitizer this is the
// program that finds what the others would find by luck.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "../../../native/dispatch.h"
#include "../../../native/engine/engine.h"
#include "../../../native/engine/waiting.h"
#include "../../../native/kernels/tables.h"
#include "../isas.h"
#include "float_reference.h"
#include "int8_reference.h"

static void require(bool good, const char* what) {
  if (!good) std::printf("%s\n", what), std::exit(1);
}

constexpr size_t kCallers = 4, kRounds = 50;

template <class Work>
static void from_many_threads(Work work) {
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < kCallers; ++caller) callers.emplace_back([&, caller] { work(caller); });
  for (std::thread& t : callers) t.join();
}

// Whoever calls, each piece of its job is done once, and what it wrote is seen when the call returns.
static void a_pool_does_every_piece_once(lcnet::Pool& pool) {
  from_many_threads([&](size_t) {
    for (size_t round = 0; round < kRounds; ++round) {
      constexpr size_t kPieces = 100;
      std::atomic<size_t> next{0};
      size_t done[kPieces] = {};
      auto job = [&](size_t member, size_t members) {
        require(member < members && members <= pool.threads(), "a member is not of the pool");
        for (size_t i; (i = next.fetch_add(1)) < kPieces;) ++done[i];
      };
      pool.run(job);
      for (size_t n : done) require(n == 1, "a piece was not done once");
    }
  });
}

// Workers do not live on in a child: it starts its own.
static void a_pool_works_after_a_fork(lcnet::Pool& pool) {
  const pid_t child = fork();
  if (child == 0) {
    std::atomic<size_t> calls{0};
    auto job = [&](size_t, size_t) { ++calls; };
    pool.run(job);
    _exit(calls >= 1 ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  require(status == 0, "a pool does not work after a fork");
}

// What one phase writes, plainly, the next one reads, whoever did which piece.
static void a_team_sees_the_phase_before(lcnet::Pool& pool) {
  constexpr size_t kPhases = 20, kPieces = 30;
  for (size_t round = 0; round < kRounds; ++round) {
    std::vector<lcnet::Team::Phase> phases(kPhases);
    lcnet::Team together(pool.threads(), lcnet::wait_for, phases.data(), kPhases), alone;
    size_t values[kPhases][kPieces] = {};
    auto job = [&](size_t, size_t members) {
      lcnet::Team& team = members == 1 ? alone : together;
      for (size_t phase = 0; phase < kPhases; ++phase)
        team.share(phase, kPieces, [&](size_t i) {
          size_t sum = 1;
          for (size_t j = 0; phase && j < kPieces; ++j) sum = std::max(sum, values[phase - 1][j] + 1);
          values[phase][i] = sum;
        });
    };
    pool.run(job);
    for (size_t v : values[kPhases - 1]) require(v == kPhases, "a phase has not seen the one before it");
  }
}

// Several callers, each with batches and sizes of its own, and all with the bits of one thread alone.
template <class Engine, class MakeNetwork>
static void an_engine_serves_many_callers(MakeNetwork network) {
  Engine alone(network(), 1), shared(network(), 3);
  const auto& net = alone.network();
  std::vector<float> x(kCallers * net.in_chans * 64 * 64);
  std::mt19937 rng(3);
  for (float& v : x) v = std::normal_distribution<float>()(rng);
  const auto logits = [&](Engine& engine, size_t images, size_t side) {
    std::vector<float> results(images * net.classes);
    lcnet::Outputs out;
    out.logits = results.data();
    engine.run(x.data(), images, side, side, out);
    return results;
  };
  std::vector<std::vector<float>> expected;
  for (size_t caller = 0; caller < kCallers; ++caller) expected.push_back(logits(alone, caller + 1, 32 + 8 * caller));
  from_many_threads([&](size_t caller) {
    for (size_t round = 0; round < 5; ++round)
      require(logits(shared, caller + 1, 32 + 8 * caller) == expected[caller], "callers change each other's logits");
  });
}

int main() {
  for (size_t threads : {1, 2, 3}) {
    lcnet::Pool pool(threads);
    a_pool_does_every_piece_once(pool);
    a_team_sees_the_phase_before(pool);
#if !defined(__SANITIZE_THREAD__)  // it has no threads in a child of a program with threads
    a_pool_works_after_a_fork(pool);
#endif
  }
  std::mt19937 rng(2);
  const Weights weights(rng, lcnet_shape(8, 3));
  const Int8Weights int8_weights(rng, lcnet_shape(8, 3));
  for (const lcnet::Isa& isa : lcnet::isas())
    if (runs_here(isa)) {
      an_engine_serves_many_callers<lcnet::Engine>([&] { return lcnet::Network(*isa.kernels, weights.source); });
      an_engine_serves_many_callers<lcnet::Int8Engine>([&] {
        const lcnet::Int8Kernels& kernels = *isa.kernels->int8;
        return lcnet::Int8Network(kernels, int8_weights.source, lcnet::float_kernels(kernels));
      });
      std::printf("%s: pools, teams and engines serve many threads\n", isa.kernels->isa);
    }
}
