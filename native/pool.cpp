#include "pool.h"

#include <unistd.h>

#include <thread>
#include <vector>

namespace lcnet {

struct Pool::Workers {
  std::mutex mutex;
  std::condition_variable wake, finished;
  Job job{};
  size_t round = 0, running = 0;
  bool stop = false;
  std::vector<std::thread> threads;

  void loop(size_t member, size_t members) {
    std::unique_lock<std::mutex> lock(mutex);
    for (size_t seen = 0;;) {
      wake.wait(lock, [&] { return stop || round != seen; });
      if (stop) return;
      seen = round;
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
  if (workers_ && owner_ == getpid()) return;
  static_cast<void>(workers_.release());  // after a fork its threads do not exist here: joining them would wait for ever
  owner_ = getpid();
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
    w.running = threads_ - 1;
    ++w.round;
  }
  w.wake.notify_all();
  job(0, threads_);
  std::unique_lock<std::mutex> lock(w.mutex);
  w.finished.wait(lock, [&] { return w.running == 0; });
}

Pool::~Pool() {
  if (!workers_) return;
  if (owner_ == getpid())
    workers_->end();
  else
    static_cast<void>(workers_.release());
}

}  // namespace lcnet
