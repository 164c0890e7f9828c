// The interpreter's lock, released while native code runs, as nb::gil_scoped_release does; but a daemon thread survives the end of
// the interpreter in here.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <thread>

#if defined(__GLIBC__)
#include <cxxabi.h>
#endif

class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  ~Released() { take_back(); }

 private:
#if defined(__GLIBC__)
  // Before Python 3.14 who asks for the lock of an interpreter that has ended is ended by pthread_exit. glibc unwinds the stack for
  // that, and unwinding through a destructor, or through nanobind's catch (...), aborts the process. As Python 3.14 does, wait here
  // for the end of the process, which is near.
  void take_back() {
    try {
      PyEval_RestoreThread(state_);
    } catch (abi::__forced_unwind&) {
      for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
  }
#else
  void take_back() { PyEval_RestoreThread(state_); }
#endif

  PyThreadState* state_;
};
