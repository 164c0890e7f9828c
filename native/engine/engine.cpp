#include "engine.h"

#include <algorithm>
#include <atomic>
#include <exception>

#include "../system.h"
#include "waiting.h"

namespace lcnet {

constexpr size_t kCachedShapes = 4;   // input sizes whose plans and arenas are kept; older ones are freed
constexpr size_t kCachedArenas = 64;  // per input size, at most one a thread that calls at the same time

// One lock for all engines' lists, held for a few pointer moves, and across fork(), so that a child never finds it taken.
static std::mutex& lists_lock() {
  static std::mutex mutex;
  static const int once = (around_forks([] { lists_lock().lock(); }, [] { lists_lock().unlock(); }), 0);
  static_cast<void>(once);
  return mutex;
}

template <class Parts>
struct EngineOf<Parts>::Shape {
  Plan plan;
  std::vector<Arena> free;
};

// An arena for one run, given back to its shape's list afterwards.
template <class Parts>
class EngineOf<Parts>::Lease {
 public:
  // `leases`: how many will be wanted at the same time.
  Lease(EngineOf& engine, size_t height, size_t width, size_t threads, size_t leases)
      : shape_(find(engine, height, width, threads, leases)) {
    {
      std::lock_guard<std::mutex> lock(lists_lock());
      if (!shape_->free.empty()) {
        arena_ = std::move(shape_->free.back());
        shape_->free.pop_back();
        return;
      }
    }
    arena_ = Arena(shape_->plan.arena_bytes());
  }
  ~Lease() {
    std::lock_guard<std::mutex> lock(lists_lock());
    if (shape_->free.size() < kCachedArenas) shape_->free.push_back(std::move(arena_));
  }
  Lease(const Lease&) = delete;

  const Plan& plan() const { return shape_->plan; }
  std::byte* arena() { return arena_.data(); }

 private:
  static std::shared_ptr<Shape> find(EngineOf& engine, size_t height, size_t width, size_t threads, size_t leases) {
    std::lock_guard<std::mutex> lock(lists_lock());
    auto& shapes = engine.shapes_;
    const auto same = [&](const std::shared_ptr<Shape>& s) {
      return s->plan.height == height && s->plan.width == width && s->plan.threads == threads;
    };
    const auto at = std::find_if(shapes.begin(), shapes.end(), same);
    if (at != shapes.end()) {
      shapes.splice(shapes.begin(), shapes, at);
    } else {
      shapes.push_front(std::make_shared<Shape>(Shape{Plan(engine.network_, height, width, threads), {}}));
      shapes.front()->free.reserve(kCachedArenas);
      // All at once, so that the calls after this one find them: whether threads overlap is a matter of chance.
      for (size_t n = 0; n < leases; ++n) shapes.front()->free.emplace_back(shapes.front()->plan.arena_bytes());
      if (shapes.size() > kCachedShapes) shapes.pop_back();
    }
    return shapes.front();
  }

  std::shared_ptr<Shape> shape_;
  Arena arena_;
};

template <class Parts>
EngineOf<Parts>::EngineOf(Network network, size_t threads) : network_(std::move(network)), pool_(threads) {
  lists_lock();  // installs the fork handlers before anyone can fork with the lock held
}

template <class Parts>
Interface EngineOf<Parts>::interface() const {
  const Network& n = network_;
  return {n.kernels.isa, n.in_chans, n.features, n.embedding_channels(), n.classes, n.feature_maps.size(), n.pooled.size()};
}

template <class Parts>
MapShape EngineOf<Parts>::feature_map(size_t number, size_t height, size_t width) const {
  const size_t blocks = network_.feature_maps[number];
  const Stride total = total_stride(network_, blocks);
  return {network_.blocks[blocks - 1].out_channels, strided(height, total.h), strided(width, total.w)};
}

template <class Parts>
size_t EngineOf<Parts>::cached_arenas() const {
  std::lock_guard<std::mutex> lock(lists_lock());
  size_t n = 0;
  for (const auto& shape : shapes_) n += shape->free.size();
  return n;
}

// The outputs of one of many images, which follow each other without gaps.
template <class Parts>
Outputs EngineOf<Parts>::outputs_of(const Outputs& out, size_t image) const {
  Outputs one = out;
  one.image = image;
  if (out.embedding) one.embedding += image * network_.embedding_channels();
  if (out.logits) one.logits += image * network_.classes;
  return one;
}

// Whether a feature map is wanted whose rows are private to a thread.
template <class Parts>
bool EngineOf<Parts>::in_front(const Outputs& out) const {
  for (size_t f = 0; out.maps && f < network_.feature_maps.size(); ++f)
    if (out.maps[f] && network_.feature_maps[f] < network_.front) return true;
  return false;
}

template <class Parts>
void EngineOf<Parts>::run(const float* x, size_t images, size_t height, size_t width, const Outputs& out) {
  if (images == 1 && threads() > 1 && !in_front(out))
    run_together(x, height, width, out);
  else
    run_apart(x, images, height, width, out);
}

// One image, all threads.
template <class Parts>
void EngineOf<Parts>::run_together(const float* x, size_t height, size_t width, const Outputs& out) {
  Lease lease(*this, height, width, threads(), 1);
  Team alone, together(threads(), wait_for, lease.plan().phases.in(lease.arena()), phases_of(network_.blocks.size()));
  auto job = [&](size_t member, size_t members) {
    Team& team = members == 1 ? alone : together;
    Runner(network_, lease.plan(), lease.arena(), team, member).run(x, out);
  };
  pool_.run(job);
}

// Calls work(lease, team of one) on as many threads as can be of use; what a thread throws is thrown again here.
template <class Parts>
template <class Work>
void EngineOf<Parts>::each_member(size_t images, size_t height, size_t width, Work&& work) {
  std::exception_ptr error;
  std::mutex error_lock;
  auto job = [&](size_t member, size_t) {
    if (member >= images) return;
    try {
      Team alone;
      Lease lease(*this, height, width, 1, std::min(images, threads()));
      work(lease, alone);
    } catch (...) {
      std::lock_guard<std::mutex> lock(error_lock);
      error = std::current_exception();
    }
  };
  if (images == 1)
    job(0, 1);
  else
    pool_.run(job);
  if (error) std::rethrow_exception(error);
}

// Each thread takes the next image until none is left. Heads wait until there are several.
template <class Parts>
void EngineOf<Parts>::run_apart(const float* x, size_t images, size_t height, size_t width, const Outputs& out) {
  std::atomic<size_t> next{0};
  const size_t floats = network_.in_chans * height * width;
  each_member(images, height, width, [&](Lease& lease, Team& alone) {
    Heads heads(network_, lease.plan(), lease.arena());
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < images;) {
      const Outputs one = outputs_of(out, i);
      Runner runner(network_, lease.plan(), lease.arena(), alone, 0);
      runner.trunk(x + i * floats, one);
      if (!one.head()) continue;
      runner.pool(heads.next());
      heads.add(one);
    }
    heads.flush();
  });
}

template <class Parts>
void EngineOf<Parts>::run_head(const float* features, size_t images, size_t height, size_t width, const Outputs& out) {
  std::atomic<size_t> next{0};
  const size_t floats = network_.features * height * width;
  const Stride trunk = total_stride(network_, network_.blocks.size());
  each_member(images, height * trunk.h, width * trunk.w, [&](Lease& lease, Team& alone) {
    Heads heads(network_, lease.plan(), lease.arena());
    for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < images;) {
      Runner runner(network_, lease.plan(), lease.arena(), alone, 0);
      runner.load_trunk(features + i * floats);
      runner.pool(heads.next());
      heads.add(outputs_of(out, i));
    }
    heads.flush();
  });
}

template class EngineOf<FloatParts>;
template class EngineOf<Int8Parts>;

}  // namespace lcnet
