#include "pool.h"

#include <atomic>
#include <thread>
#include <vector>

#include "../system.h"

namespace lcnet {

// A worker waits this long for the next job before it sleeps (some 50 microseconds): callers that classify one image after the
// other find it awake, and an idle process burns nothing.
constexpr int kIdleSpins = 2000;

struct Pool::Workers {
  std::mutex mutex;
  std::condition_variable wake, finished;
  Job job{};
  std::atomic<size_t> round{0};  // changed under the mutex
  size_t running = 0;
  bool open = false, stop = false;  // open: a worker that comes now may still join
  std::vector<std::thread> threads;

  void loop(size_t member, size_t members) {
    for (size_t seen = 0;;) {
      for (int spin = 0; spin < kIdleSpins && round.load(std::memory_order_relaxed) == seen; ++spin) relax();
      std::unique_lock<std::mutex> lock(mutex);
      wake.wait(lock, [&] { return stop || round != seen; });
      if (stop) return;
      seen = round;
      if (!open) continue;
      ++running;
      const Job current = job;
      lock.unlock();
      current(member, members);
      lock.lock();
      if (--running == 0) finished.notify_one();
    }
  }

  void end() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stop = true;
    }
    wake.notify_all();
    for (std::thread& t : threads) t.join();
  }
};

Pool::Pool(size_t threads) : threads_(threads) {}

void Pool::start() {
  if (workers_ && owner_ == process()) return;
  static_cast<void>(workers_.release());  // after a fork its threads do not exist here: joining them would wait for ever
  owner_ = process();
  auto workers = std::make_unique<Workers>();
  try {
    for (size_t t = 1; t < threads_; ++t)
      workers->threads.emplace_back([w = workers.get(), t, n = threads_] { w->loop(t, n); });
  } catch (...) {
    workers->end();
    throw;
  }
  workers_ = std::move(workers);
}

void Pool::run_job(Job job) {
  std::unique_lock<std::mutex> mine(busy_, std::try_to_lock);
  if (threads_ == 1 || !mine.owns_lock()) return job(0, 1);
  start();
  Workers& w = *workers_;
  {
    std::lock_guard<std::mutex> lock(w.mutex);
    w.job = job;
    w.open = true;
    ++w.round;
  }
  w.wake.notify_all();
  job(0, threads_);
  std::unique_lock<std::mutex> lock(w.mutex);
  w.open = false;
  w.finished.wait(lock, [&] { return w.running == 0; });
}

Pool::~Pool() {
  if (!workers_) return;
  if (owner_ == process())
    workers_->end();
  else
    static_cast<void>(workers_.release());
}

}  // namespace lcnet
