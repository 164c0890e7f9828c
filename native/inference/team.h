// The threads that work on one image together. Work is cut into phases and phases into pieces; whoever is free takes the next
// piece, and a phase is over when its pieces are done. So a thread that is late or interrupted is not waited for unless it
// holds a piece, and the calling thread alone would finish as well.
#pragma once

#include <atomic>
#include <cstddef>
#include <new>

namespace lcnet {

class Team {
 public:
  struct alignas(64) Phase {
    std::atomic<size_t> taken{0}, done{0};
  };

  // Returns once all pieces of a phase are done.
  using Wait = void(const Phase& phase, size_t pieces);

  // One member alone, who waits for nobody.
  Team() = default;
  // `phases`: memory for as many as the members will go through.
  Team(size_t size, Wait* wait, Phase* phases, size_t count) : size_(size), wait_(wait), phases_(phases) {
    for (size_t i = 0; i < count; ++i) new (&phases_[i]) Phase;
  }

  size_t size() const { return size_; }

  // Called by every member with the same sequence of phases: calls work(piece) for pieces of [0, pieces) that nobody else has
  // taken, and returns when all are done. Everything done in a phase is visible to all after it.
  template <class Work>
  void share(size_t phase, size_t pieces, Work&& work) {
    if (size_ == 1) {
      for (size_t i = 0; i < pieces; ++i) work(i);
      return;
    }
    Phase& p = phases_[phase];
    for (size_t i; (i = p.taken.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
      work(i);
      p.done.fetch_add(1, std::memory_order_release);
    }
    wait_(p, pieces);
  }

 private:
  const size_t size_ = 1;
  Wait* const wait_ = nullptr;
  Phase* const phases_ = nullptr;
};

}  // namespace lcnet
