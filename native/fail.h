// How the libraries that throw nothing end what cannot go on. Whoever links them defines both: lcnet_engine throws.
#pragma once

namespace lcnet {

[[noreturn]] void fail(const char* what);  // of an argument
[[noreturn]] void fail_memory();

}  // namespace lcnet
