// The interpreter's lock, released while native code runs, as nb::gil_scoped_release does; but a daemon thread survives the end of
// the interpreter in here.
#pragma once

#include <nanobind/nanobind.h>

#include "system.h"

class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  // Before Python 3.14 who asks for the lock of an interpreter that has ended is ended by pthread_exit. glibc unwinds the stack for
  // that, which in a destructor, or in nanobind's catch (...), aborts the process. So the stack ends here for it.
  ~Released() {
    lcnet::call_unwinding_ends_at([](void* state) { PyEval_RestoreThread(static_cast<PyThreadState*>(state)); }, state_);
  }

 private:
  PyThreadState* state_;
};
