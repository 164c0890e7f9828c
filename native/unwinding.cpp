// Compiled without unwind tables, so that an unwinder which comes here takes it for the end of the stack.
#include "system.h"

namespace lcnet {

void call_unwinding_ends_at(void (*function)(void*), void* argument) {
  function(argument);
  asm volatile("");  // no jump in the place of the call: this function must stand on the stack
}

}  // namespace lcnet
