// The WebAssembly module: which of them runs here, and calls into it. An instance has one model, and its memory goes with it.
import { damaged, fail, tooLarge } from './errors.js';
import { addressOf, bytesOf } from './host.js';

const MODULES = {
  simd: new URL('./lcnet.simd.wasm', import.meta.url),
  'simd.int8': new URL('./lcnet.simd.int8.wasm', import.meta.url),
  relaxed: new URL('./lcnet.relaxed.wasm', import.meta.url),
  'relaxed.int8': new URL('./lcnet.relaxed.int8.wasm', import.meta.url),
};
const compiled = new Map();

// By a module of one function, which does f32x4.relaxed_madd on three vectors.
function hasRelaxed() {
  const vector = [0x41, 0, 0xfd, 0x0f], head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 10, 19, 1, 17, 0];
  return WebAssembly.validate(Uint8Array.of(...head, ...vector, ...vector, ...vector, 0xfd, 0x85, 2, 0x0b));
}

async function instance(source) {
  try {
    let module = source instanceof URL ? compiled.get(source.href) : source;
    if (!(module instanceof WebAssembly.Module)) module = await WebAssembly.compile(await bytesOf(source));
    if (source instanceof URL) compiled.set(source.href, module);
    return new Core((await WebAssembly.instantiate(module, {})).exports);
  } catch (error) {
    if (error.code) throw error;
    return fail('unsupported', `there is no WebAssembly SIMD here, or not this module's: ${error.message}`, error);
  }
}

// exact: 'fma' for the bits of AVX2, AVX-512 and NEON, 'plain' for those of scalar code; left out, the first where they can be had.
export async function coreFor(kind, { wasm, exact } = {}) {
  let core = wasm && (await instance(addressOf(wasm)));
  if (!wasm) {
    // Relaxed multiply-adds are not fused on a CPU that has none.
    if (exact !== 'plain' && hasRelaxed()) core = await instance(MODULES[`relaxed${kind}`]);
    if (!core?.fused && exact !== 'fma') core = await instance(MODULES[`simd${kind}`]);
  }
  if (!core || (exact && core.fused !== (exact === 'fma'))) fail('unsupported', `exact: '${exact}' is not to be had here`);
  return core;
}

class Core {
  constructor(exports) {
    this.exports = exports;
    exports._initialize();
    this.fused = Boolean(exports.lcnet_fused(1 + 2 ** -12, 1 + 2 ** -11));
    this.isa = this.fused ? 'wasm_relaxed' : 'wasm_simd128';
  }

  // The result of an exported function. A trap leaves its stack where it was.
  call(name, ...given) {
    const stack = this.exports.__stack_pointer, top = stack.value;
    try {
      return this.exports[`lcnet_${name}`](...given);
    } catch (error) {
      stack.value = top;
      const what = this.text(this.exports.lcnet_failure()) || error.message;
      return /memory$/.test(what) ? tooLarge(what) : damaged(what, error);
    }
  }

  // Calls work(addresses) with room for as many bytes each.
  with(sizes, work) {
    const places = [];
    try {
      for (const size of sizes) {
        places.push(size < 2 ** 32 - 2 ** 16 ? this.call('alloc', size) >>> 0 : 0);
        if (!places.at(-1)) tooLarge(`there is no room for ${size} bytes`);
      }
      return work(...places);
    } finally {
      for (const place of places) this.exports.lcnet_free(place);
    }
  }

  // Calls work with the address of these values, and of room for more.
  given(values, work, ...sizes) {
    return this.with([values.byteLength, ...sizes], (at, ...places) => {
      new Uint8Array(this.exports.memory.buffer).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
      return work(at, ...places);
    });
  }

  text(at) {
    const bytes = new Uint8Array(this.exports.memory.buffer, at, 256);
    return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)));
  }

  floats(at, count) {
    return new Float32Array(this.exports.memory.buffer, at, count).slice();
  }
}
