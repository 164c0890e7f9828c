// Says what `make web` needs and is not there, and how to get it: node scripts/web_needs.mjs TOOLS.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const [tools] = process.argv.slice(2), runs = (...command) => spawnSync(command[0], command.slice(1)).status === 0;
const DEBIAN = 'apt-get install cmake ninja-build clang-19 lld-19 llvm-19 wasi-libc libc++-19-dev-wasm32 libc++abi-19-dev-wasm32 libclang-rt-19-dev-wasm32';
const compiles = () =>
  spawnSync('clang++-19', ['--target=wasm32-wasi', '-fno-exceptions', '-mrelaxed-simd', '-x', 'c++', '-std=c++20', '-o', '/dev/null', '-'], {
    input: '#include <vector>\nint main() { return static_cast<int>(std::vector<int>(1).size()); }\n',
  }).status === 0;

const missing = [];
if (!runs('cmake', '--version') || !runs('ninja', '--version') || !runs('llvm-ar-19', '--version') || !compiles()) missing.push(`a compiler for WebAssembly (Debian: ${DEBIAN})`);
if (!existsSync(`${tools}/node_modules/terser`)) missing.push(`esbuild and terser (make ${tools}/node_modules)`);
for (const one of missing) console.error(`make web needs ${one}`);
process.exit(missing.length ? 1 : 0);
