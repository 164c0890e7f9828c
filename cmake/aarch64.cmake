# For ARM Linux from another machine (Debian: g++-aarch64-linux-gnu, qemu-user): programs are static and run emulated, so that no
# libraries of that machine are needed. With -DLCNET_ARM_CLANG=ON the compiler is Clang, beside GCC's headers and libraries.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(LCNET_ARM_CLANG)
  find_program(LCNET_CLANG NAMES clang++-19 clang++ REQUIRED)
  set(CMAKE_CXX_COMPILER ${LCNET_CLANG})
  set(CMAKE_CXX_COMPILER_TARGET aarch64-linux-gnu)
else()
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LCNET_ARM_CLANG)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
