// Threads of ours that sleep until there is work: started at the first use, again after a fork, never spinning when idle.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace lcnet {

// A callable that outlives the call it is passed to: std::function without its allocation.
struct Job {
  void* callable;
  void (*call)(void* callable, size_t member, size_t members);
  void operator()(size_t member, size_t members) const { call(callable, member, members); }
};

class Pool {
 public:
  explicit Pool(size_t threads);
  ~Pool();

  size_t threads() const { return threads_; }

  // Calls job(member, members) on the calling thread as member 0, and on the workers at the same time, and returns when all
  // that joined have ended. Workers that wake too late do not join: the job must be complete when member 0 returns, and must
  // not throw. `members` is threads(), or 1 if another thread is using the pool: callers beyond the first bring their own
  // thread and nothing more, so that many callers do not fight for the cores.
  template <class F>
  void run(F& job) {
    run_job({&job, [](void* f, size_t member, size_t members) { (*static_cast<F*>(f))(member, members); }});
  }

 private:
  struct Workers;
  void run_job(Job job);
  void start();

  const size_t threads_;
  std::mutex busy_;
  std::unique_ptr<Workers> workers_;
  int owner_ = 0;  // the process that the workers live in
};

}  // namespace lcnet
