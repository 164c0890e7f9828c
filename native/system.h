// What systems do differently: forks, a thread that waits. Nothing else in native/ asks which one this is.
#pragma once

namespace lcnet {

// The number of this process. After a fork it is another.
int process();

// Has `before` called before every fork, and `after` behind it in both processes.
void around_forks(void (*before)(), void (*after)());

// Calls a function out of which a thread may be ended: what unwinds the stack for that goes no further than here.
void call_unwinding_ends_at(void (*function)(void*), void* argument);

// Whether a CPU of ARM's has instructions for dot products of bytes.
bool has_dot_product();

// Tells the processor that this is a loop that waits.
void relax();

}  // namespace lcnet
